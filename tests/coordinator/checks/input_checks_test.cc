// Whole jobs whose text, tokenizer or machine is not what it should be.
#include <gtest/gtest.h>

#include "base/digest.h"
#include "pipeline/sources/source_plans.h"
#include "pipeline/tokenizer.h"
#include "storage/source_digests.h"
#include "tests/coordinator/coordinator_fixture.h"

namespace halcyon::coordinator {
namespace {

using jobs::StageKind;
using jobs::StageState;
using Fault = FakeCluster::Fault;

std::string SmallTokenizerJson() {
  auto trainer = pipeline::BpeTrainer::Create({.vocab_size = 260, .pattern = "gpt2"});
  EXPECT_TRUE(trainer.ok()) << trainer.status();
  (*trainer)->Add("a line of the text and a line of the text");
  return (*(*trainer)->Train())->ToJson();
}

TEST_F(CoordinatorTest, AnImportedTokenizerIsItsFilesBytes) {
  ASSERT_TRUE(WriteFileAtomically(env_, JoinPath(root_, "t.json"), SmallTokenizerJson()).ok());
  const std::string path = "[tokenizer]\npath = \"t.json\"\n";
  ASSERT_TRUE(Run(path).ok());
  EXPECT_EQ(cluster_.parameters.at("tokenizer").at("tokenizer_file_digest"),
            Sha256::Of(SmallTokenizerJson()));
  ASSERT_TRUE(Run(path).ok());
  EXPECT_TRUE(MadeStages().empty());
}

TEST_F(CoordinatorTest, TasksAreGivenTheDigestsOfTheFingerprint) {
  ASSERT_TRUE(Run().ok());
  const std::string corpus = *env_.ReadFile(JoinPath(root_, "corpus.txt"));
  EXPECT_EQ(cluster_.parameters.at("tokenizer").at("source_digests"),
            nlohmann::json({Sha256::Of(corpus)}));
}

TEST_F(CoordinatorTest, ASourceThatChangesUnderWayEndsTheStageByName) {
  const std::string corpus = JoinPath(root_, "corpus.txt");
  const std::string original = *env_.ReadFile(corpus);
  cluster_.on_lease = [&](const cluster::Lease& lease) {
    if (lease.task == "tokenizer") {
      EXPECT_TRUE(WriteFileAtomically(env_, corpus, original + "and more\n").ok());
    }
    return std::optional<Fault>();
  };
  const absl::Status status = Run();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_NE(MessageOf(status).find("corpus.txt: the file changed while the job ran"),
            std::string::npos)
      << status;
  EXPECT_EQ(LeasesOf("tokens/"), 0u) << "nothing is made of it";
  cluster_.on_lease = nullptr;
  ASSERT_TRUE(WriteFileAtomically(env_, corpus, original).ok());
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(status_.Find(StageKind::kTokenizer)->state, StageState::kReused);
}

// The bytes differ though all that is remembered of the file is the same.
TEST_F(CoordinatorTest, ARememberedDigestThatIsWrongIsCorrected) {
  const std::string corpus = JoinPath(root_, "corpus.txt");
  // So large that its digest has a file of its own.
  const std::string line(pipeline::SourcePlans::kSmallBytesMax, 'x');
  ASSERT_TRUE(WriteFileAtomically(env_, corpus, *env_.ReadFile(corpus) + line + "\n").ok());
  ASSERT_TRUE(Run().ok());
  storage::SourceDigests digests(env_, home_.Sources());
  storage::SourceRecord record = *digests.Find(corpus);
  record.sha256 = Sha256::Of("what the file once was");
  ASSERT_TRUE(digests.Put(record).ok());
  EXPECT_EQ(Run().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(status_.Find(StageKind::kTokenizer)->state, StageState::kReused);
  EXPECT_EQ(status_.Find(StageKind::kTokens)->state, StageState::kReused);
}

TEST_F(CoordinatorTest, TextThatFillsNoWindowEndsTheJobBeforeTraining) {
  model_toml_ = "window_chunks = 1000\n";
  const absl::Status status = Run();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_NE(MessageOf(status).find("less than one window of 1000; write model.window_chunks = "),
            std::string::npos)
      << status;
  EXPECT_EQ(status_.Find(StageKind::kTokens)->state, StageState::kDone);
  EXPECT_TRUE(cluster_.launches.empty());
}

TEST_F(CoordinatorTest, TextWithoutHeldOutPartIsReportedBeforeTraining) {
  ASSERT_TRUE(Run().ok());
  const size_t warned =
      notices_.find("warning: there will be no score: data.heldout = 0.02 of its ");
  EXPECT_LT(warned, notices_.find("autoencoder: made")) << notices_;
}

TEST_F(CoordinatorTest, WhatCertainlyDoesNotFitIsRefusedBeforeAnythingIsMade) {
  memory_limit_ = MemoryLimit{100000, "of this test"};
  const absl::Status status = Run();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_NE(MessageOf(status).find("the memory of this test is 100 kB; lower autoencoder."),
            std::string::npos)
      << status;
  EXPECT_TRUE(cluster_.leases.empty());
  // Results that are there need no memory.
  memory_limit_.reset();
  ASSERT_TRUE(Run().ok());
  memory_limit_ = MemoryLimit{100000, "of this test"};
  EXPECT_TRUE(Run().ok());
}

TEST_F(CoordinatorTest, WarningsOfTasksAreShownAndBounded) {
  cluster_.warnings = {"something odd"};
  ASSERT_TRUE(Run().ok());
  size_t shown = 0;
  for (size_t at = notices_.find("warning: something odd"); at != std::string::npos;
       at = notices_.find("warning: something odd", at + 1)) {
    ++shown;
  }
  // One of the tokenizer's task, five of the tokens' and of the latents', one of the evaluation's.
  EXPECT_EQ(shown, 1u + 5u + 5u + 1u) << notices_;
  EXPECT_NE(notices_.find("warning: and more of this kind"), std::string::npos);
}

TEST_F(CoordinatorTest, TextThatFindsNoRoomForItsLatentsEndsTheJobBeforeTraining) {
  room_.bytes = 10'000'000;
  EXPECT_TRUE(absl::IsResourceExhausted(Run()));
  EXPECT_TRUE(cluster_.leases.empty()) << "the checkpoints alone take more";
}

// The work folder that a finished stage leaves holds none of what another one is going to write.
TEST_F(CoordinatorTest, FinishedWorkIsNoRoomForOtherSettings) {
  ASSERT_TRUE(Run().ok());
  room_.bytes = 10'000'000;
  const absl::Status refused =
      Run("[train]\nlearning_rate = 1e-3\n[autoencoder.train]\nlearning_rate = 1e-3\n");
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_NE(MessageOf(refused).find("writing the checkpoints and weights"), std::string::npos)
      << refused;
  EXPECT_TRUE(cluster_.launches.empty()) << "before anything starts";
}

}  // namespace
}  // namespace halcyon::coordinator
