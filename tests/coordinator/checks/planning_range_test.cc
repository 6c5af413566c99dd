// The planning of every stage for jobs of all kinds, over real files of a small text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/checks/early_checks.h"
#include "coordinator/stages/stage_plan.h"
#include "pipeline/samples/packing.h"
#include "pipeline/samples/window_loader.h"
#include "pipeline/sources/shard_plan.h"
#include "pipeline/tokenizer.h"
#include "storage/token_cache.h"
#include "tests/jobs/random_spec.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::coordinator {
namespace {

constexpr uint64_t kCases = 300;
constexpr char kDataset[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

class PlanningTest : public ::testing::Test {
 protected:
  PlanningTest() {
    home_ = *storage::OpenHome(dir_.Path("home"));
    std::string text;
    for (int i = 0; i < 40; ++i) text += "{\"text\": \"line " + std::to_string(i) + "\"}\n\n";
    base_.name = "plan";
    base_.data.sources = {dir_.Path("a.txt")};
    EXPECT_TRUE(WriteFileAtomically(env_, base_.data.sources[0], text).ok());
  }

  // Some shards of some documents, one of them empty.
  storage::TokenReader MakeTokens() {
    std::vector<std::string> notes;
    auto builder = storage::CacheBuilder::Open(env_, dir_.Path("building"), kDataset, {}, &notes);
    EXPECT_TRUE(builder.ok()) << builder.status();
    for (uint32_t shard = 0; shard < 5; ++shard) {
      storage::TokenShardWriter writer(dir_.Path("building/" + std::to_string(shard) + ".sst"),
                                       kDataset, shard, 1, 300);
      const std::vector<uint32_t> tokens(20 * shard, 7);
      writer.AddDocument(shard == 3 ? storage::Split::kHeldout : storage::Split::kTrain, tokens);
      const auto file = writer.Finish({});
      EXPECT_TRUE(file.ok()) << file.status();
      EXPECT_TRUE((*builder)->Ingest({{*file, shard, 1}}).at(0).ok());
    }
    EXPECT_TRUE((*builder)->Publish(dir_.Path("generation"), 5).ok());
    auto cache = storage::CacheReader::Open(dir_.Path("generation"), kDataset);
    EXPECT_TRUE(cache.ok()) << cache.status();
    return storage::TokenReader(*std::move(cache));
  }

  testing::TempDir dir_;
  Env& env_ = *Env::Posix();
  storage::HomeLayout home_;
  jobs::JobSpec base_;
};

TEST_F(PlanningTest, RandomJobs) {
  storage::TokenReader tokens = MakeTokens();
  ArtifactStore store(env_, home_);
  uint64_t planned = 0;
  for (uint64_t number = 0; number < kCases; ++number) {
    const auto spec =
        jobs::ParseJobSpec(jobs::ToToml(jobs::RandomSpec(number).Change(base_)), "job.toml", "/",
                           /*check_files=*/true);
    if (!spec.ok()) continue;
    ++planned;
    SCOPED_TRACE("case " + std::to_string(number) + ":\n" + jobs::ToToml(*spec));
    const auto stages = PlanStages(*spec, home_, store);
    ASSERT_TRUE(stages.ok()) << stages.status();
    const auto shards = pipeline::PlanShards(spec->data);
    ASSERT_TRUE(shards.ok()) << shards.status();
    ASSERT_TRUE(WarningsOf(*spec, jobs::StagesOf(*spec), MemoryLimit{1 << 30, "of a test"}).ok());
    const auto counts = CountText(*spec, tokens);
    ASSERT_TRUE(counts.ok()) << counts.status();
    const uint64_t window = static_cast<uint64_t>(spec->model.window_chunks);
    if (jobs::CheckText(*spec, *counts).ok()) {
      EXPECT_GE(counts->model_chunks, window);
      EXPECT_GT(counts->train_documents, 0u);
    }
  }
  EXPECT_GT(planned, kCases / 10);
}

// `cache explain` of a job that imports its tokenizer.
TEST_F(PlanningTest, AnImportedTokenizerIsPlannedByItsBytes) {
  const auto fingerprint = [&] {
    ArtifactStore store(env_, home_);
    const auto stages = PlanStages(base_, home_, store);
    EXPECT_TRUE(stages.ok()) << stages.status();
    return stages.ok() ? stages->at(0).fingerprint : "";
  };
  const std::string trained = fingerprint();
  base_.tokenizer.path = dir_.Path("t.json");
  ASSERT_TRUE(WriteFileAtomically(env_, base_.tokenizer.path, "one").ok());
  const std::string one = fingerprint();
  EXPECT_NE(one, trained);
  ASSERT_TRUE(WriteFileAtomically(env_, base_.tokenizer.path, "two").ok());
  EXPECT_NE(fingerprint(), one);
}

TEST_F(PlanningTest, TextIsCountedAsTheStagesDivideIt) {
  base_.autoencoder.chunk_size = 4;
  storage::TokenReader tokens = MakeTokens();
  const auto counts = CountText(base_, tokens);
  ASSERT_TRUE(counts.ok()) << counts.status();
  // Documents of 0, 20, 40 and 80 tokens, each with an end-of-text, in chunks of four.
  EXPECT_EQ(counts->train_documents, 4u);
  EXPECT_EQ(counts->train_chunks, 1u + 6u + 11u + 21u);
  EXPECT_EQ(counts->heldout_documents, 1u);
  EXPECT_EQ(counts->heldout_chunks, 16u);
  EXPECT_EQ(counts->autoencoder_chunks, counts->train_chunks);
  EXPECT_EQ(counts->model_chunks, counts->train_chunks);

  base_.autoencoder.data_fraction = 0.4;
  base_.model.skip_autoencoder_data = true;
  const auto divided = CountText(base_, tokens);
  ASSERT_TRUE(divided.ok()) << divided.status();
  EXPECT_LT(divided->autoencoder_chunks, counts->train_chunks);
  EXPECT_EQ(divided->autoencoder_chunks + divided->model_chunks, counts->train_chunks);
}

TEST_F(PlanningTest, ATextOfManyParagraphsIsOneDocumentWithAWarning) {
  std::string text;
  for (int i = 0; i < 30; ++i) text += "a paragraph\nof two lines\n\n";
  ASSERT_TRUE(WriteFileAtomically(env_, base_.data.sources[0], text).ok());
  base_.data.documents = jobs::DocumentRule::kFile;
  ASSERT_EQ(SourceWarnings(env_, base_.data).size(), 1u);
  EXPECT_NE(SourceWarnings(env_, base_.data)[0].find("is one document of 20 paragraphs or more"),
            std::string::npos);
  base_.data.documents = jobs::DocumentRule::kParagraphs;
  EXPECT_TRUE(SourceWarnings(env_, base_.data).empty());
  base_.data.documents = jobs::DocumentRule::kFile;
  ASSERT_TRUE(WriteFileAtomically(env_, base_.data.sources[0], "a\n\nb\n\nc\n").ok());
  EXPECT_TRUE(SourceWarnings(env_, base_.data).empty());
  ASSERT_TRUE(WriteFileAtomically(env_, base_.data.sources[0], "<html>").ok());
  EXPECT_NE(SourceWarnings(env_, base_.data).at(0).find("is a page of HTML"), std::string::npos);
}

TEST_F(PlanningTest, ManySourcesGiveOneWarning) {
  std::string text;
  for (int i = 0; i < 30; ++i) text += "a paragraph\n\n";
  base_.data.documents = jobs::DocumentRule::kFile;
  const std::string folder = DirName(base_.data.sources[0]);
  base_.data.sources.clear();
  for (int i = 0; i < 25; ++i) {
    base_.data.sources.push_back(JoinPath(folder, std::to_string(i) + ".txt"));
    ASSERT_TRUE(WriteFileAtomically(env_, base_.data.sources.back(), text).ok());
    if (i == 2) {
      EXPECT_THAT(SourceWarnings(env_, base_.data),
                  ::testing::ElementsAre(::testing::AllOf(
                      ::testing::HasSubstr("/0.txt is one document"),
                      ::testing::EndsWith(" (and so are 2 more of 3 files looked at)"))));
    }
  }
  EXPECT_THAT(SourceWarnings(env_, base_.data), ::testing::IsEmpty());
}

TEST_F(PlanningTest, ATokenizerFileThatCannotServeIsRefused) {
  base_.tokenizer.path = dir_.Path("t.json");
  const auto expect_error = [&](const std::string& bytes, const std::string& what) {
    ASSERT_TRUE(WriteFileAtomically(env_, base_.tokenizer.path, bytes).ok());
    const absl::Status status = VocabularyOf(base_).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_NE(MessageOf(status).find(what), std::string::npos) << status;
  };
  expect_error("<!doctype html>", "t.json: is a page of HTML, not a tokenizer; download");
  expect_error("{}", "t.json: model: missing; is it a tokenizer.json?");
  expect_error("{\"model\": {\"type\": \"WordLevel\"}}",
               "t.json: model.type: \"WordLevel\" is not supported");
}

TEST(CheckMemory, RefusesOnlyWhatCertainlyDoesNotFitAndWarnsBefore) {
  const jobs::JobSpec spec;
  const std::vector<jobs::TrainingEstimate> estimates = {
      {jobs::StageKind::kModel, 1000, 2'000'000'000, 0}};
  EXPECT_TRUE(CheckMemory(spec, estimates, {2'000'000'000, "of this machine"}).ok());
  const absl::Status status = CheckMemory(spec, estimates, {1'900'000'000, "of this machine"});
  EXPECT_EQ(MessageOf(status),
            "stage model: 1000 parameters and its activations on 2 rank(s) take 2.0 GB of memory "
            "at least, the memory of this machine is 1.9 GB; lower model.hidden_size, "
            "model.layers, model.window_chunks or model.samples, or set train.micro_batch");
  const auto warnings = [&](uint64_t bytes) {
    return MachineWarnings(spec, estimates, MemoryLimit{bytes, "of this machine"}, 0).size();
  };
  EXPECT_EQ(warnings(4'000'000'000), 0u);
  EXPECT_EQ(warnings(3'000'000'000), 1u);
  EXPECT_TRUE(MachineWarnings(spec, estimates, std::nullopt, 0).empty());
}

TEST(PrecisionWarnings, NameTheKeyAndWhy) {
  jobs::JobSpec spec;
  spec.train.precision = jobs::Precision::kBFloat16;
  EXPECT_THAT(PrecisionWarnings(spec, jobs::StagesOf(spec), /*has_fast_bfloat16=*/true),
              ::testing::IsEmpty());
  EXPECT_THAT(PrecisionWarnings(spec, jobs::StagesOf(spec), false),
              ::testing::ElementsAre(::testing::AllOf(
                  ::testing::StartsWith("train.precision = \"bfloat16\" is several times slower"),
                  ::testing::EndsWith("have neither AVX512_BF16 nor AMX"))));
  spec.launch.arithmetic = jobs::Arithmetic::kPortable;
  spec.autoencoder.train.precision = jobs::Precision::kBFloat16;
  EXPECT_THAT(PrecisionWarnings(spec, jobs::StagesOf(spec), true),
              ::testing::Each(::testing::HasSubstr("launch.arithmetic = \"portable\"")));
  EXPECT_EQ(PrecisionWarnings(spec, jobs::StagesOf(spec), true).size(), 2u);
  spec.data.encoding_precision = jobs::Precision::kBFloat16;
  EXPECT_THAT(PrecisionWarnings(spec, jobs::StagesOf(spec), true),
              ::testing::Contains(::testing::StartsWith("data.encoding_precision = ")));
  EXPECT_EQ(PrecisionWarnings(spec, jobs::StagesOf(spec), true).size(), 3u);
  EXPECT_EQ(PrecisionWarnings(spec, {jobs::StageKind::kTokens}, true).size(), 0u);
  spec.model.head = jobs::HeadKind::kSoftmax;
  EXPECT_EQ(PrecisionWarnings(spec, jobs::StagesOf(spec), true).size(), 1u)
      << "a baseline has no autoencoder";
  spec.launch.device = jobs::DeviceChoice::kCuda;
  EXPECT_THAT(PrecisionWarnings(spec, jobs::StagesOf(spec), true), ::testing::IsEmpty())
      << "GPUs are fast at it";
}

}  // namespace
}  // namespace halcyon::coordinator
