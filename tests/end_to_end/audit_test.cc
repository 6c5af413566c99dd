// `halcyon audit` of jobs that were killed between checkpoints and went on with other numbers of
// ranks: what it says of them, and that it finds what is not as it should be.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/env.h"
#include "storage/record_log.h"
#include "tests/end_to_end/small_job.h"

namespace halcyon {
namespace {

using nlohmann::json;

constexpr uint64_t kBatch = 5;  // of the small job's model

class AuditTest : public ::testing::Test {
 protected:
  AuditTest() : job_("audit") {
    job_.values()["launch.restarts_max"] = "0";
    job_.Write();
  }

  // Two ranks, of which one dies after steps 5 and 6 were made and not saved.
  void RunUntilARankDies() {
    const RunResult died = job_.Run({{"HALCYON_FAULT_POINT", "rank 1 model step 6"},
                                     {"HALCYON_FAULT_MARKER", job_.root() + "/first"}});
    ASSERT_EQ(died.status.code, 3) << died.output;
  }
  // Three ranks, launched again when one has died at step 10.
  void GoOnWithThreeRanks() {
    job_.values()["launch.ranks"] = "3";
    job_.values()["launch.restarts_max"] = "1";
    job_.Write();
    const RunResult result = job_.Run({{"HALCYON_FAULT_POINT", "rank 2 model step 10"},
                                       {"HALCYON_FAULT_MARKER", job_.root() + "/second"}});
    ASSERT_TRUE(result.status.ok()) << result.output;
    ASSERT_TRUE(Env::Posix()->Exists(job_.root() + "/second-0"));
  }
  json Audit(const std::vector<std::string>& more, int code = 0) {
    std::vector<std::string> args = {"audit", "small", "--stage", "model", "--json"};
    args.insert(args.end(), more.begin(), more.end());
    const RunResult result = job_.Halcyon(args);
    EXPECT_EQ(result.status.code, code) << result.output;
    const json printed =
        json::parse(result.output.substr(0, result.output.rfind('}') + 1), nullptr, false);
    EXPECT_TRUE(printed.is_object()) << result.output;
    return printed["stages"].at(0);
  }
  // The only one of the model's work folder.
  std::string SamplesFolder() {
    const std::string work = job_.home() + "/work";
    const auto names = Env::Posix()->ListDir(work);
    for (const std::string& name : *names) {
      if (name.starts_with("model-")) return work + "/" + name + "/checkpoints/samples";
    }
    ADD_FAILURE() << "no work folder";
    return "";
  }

  SmallJob job_;
};

json Made(uint64_t claim, uint64_t launch, int ranks, int first, int last) {
  return {{"claim", claim},
          {"launch", launch},
          {"ranks", ranks},
          {"first_step", first},
          {"last_step", last}};
}

TEST_F(AuditTest, HoldsAcrossDeathsAndNumbersOfRanks) {
  RunUntilARankDies();
  json model = Audit({"--text"});
  EXPECT_EQ(model["verdict"], "holds");
  EXPECT_EQ(model["finished"], false);
  EXPECT_EQ(model["last_step"], 4);
  EXPECT_EQ(model["samples"], 4 * kBatch);
  EXPECT_EQ(model["launches"], json::array({Made(1, 1, 2, 1, 4)}));
  EXPECT_EQ(model["redone"], json::array()) << "of what may still be made";

  GoOnWithThreeRanks();
  model = Audit({"--text"});
  EXPECT_EQ(model["verdict"], "holds");
  EXPECT_EQ(model["finished"], true);
  EXPECT_EQ(model["samples"], 16 * kBatch);
  EXPECT_EQ(model["samples_with_latents_compared"], 16 * kBatch);
  EXPECT_EQ(model["launches"],
            json::array({Made(1, 1, 2, 1, 4), Made(2, 1, 3, 5, 8), Made(2, 2, 3, 9, 16)}));
  EXPECT_EQ(model["redone"], json::array({Made(1, 1, 2, 5, 6), Made(2, 1, 3, 9, 10)}));
  const json& text = model["sources"].at(0);
  const auto windows = text["items"].get<uint64_t>();
  EXPECT_EQ(text["least_uses"], 16 * kBatch / windows);
  EXPECT_EQ(text["most_uses"], (16 * kBatch + windows - 1) / windows);
  const RunResult both = job_.Halcyon({"audit"});
  EXPECT_TRUE(both.status.ok()) << both.output;
  EXPECT_NE(both.output.find("autoencoder: holds: each of 1280 samples"), std::string::npos)
      << both.output;
  EXPECT_NE(both.output.find("model: holds: each of 80 samples"), std::string::npos) << both.output;
}

TEST_F(AuditTest, ListsTheSamplesOfAStep) {
  ASSERT_TRUE(job_.Run().status.ok());
  const json model = Audit({"--step", "7"});
  EXPECT_EQ(model["verdict"], "holds");
  EXPECT_EQ(model["text_compared"], true);
  const json& samples = model["step_samples"];
  ASSERT_EQ(samples.size(), kBatch);
  const std::string corpus = *Env::Posix()->ReadFile(job_.root() + "/corpus.txt");
  for (uint64_t place = 0; place < kBatch; ++place) {
    const json& sample = samples[place];
    EXPECT_EQ(sample["sample"], 6 * kBatch + place);
    EXPECT_TRUE(sample["first_file"].get<std::string>().ends_with("/corpus.txt"));
    EXPECT_EQ(sample["last_file"], sample["first_file"]);
    EXPECT_LE(sample["first_document"], sample["last_document"]);
    // Line ends are shown as spaces; a window of several documents has no text between them.
    const std::string words = sample["words"].get<std::string>().substr(0, 8);
    std::string text = corpus;
    std::ranges::replace(text, '\n', ' ');
    EXPECT_NE(text.find(words), std::string::npos) << sample;
  }
  EXPECT_EQ(job_.Halcyon({"audit", "--step", "17"}).status.code, 2);
  const RunResult listed = job_.Halcyon({"audit", "--step", "7"});
  EXPECT_NE(listed.output.find("SAMPLE"), std::string::npos) << listed.output;
}

TEST_F(AuditTest, NamesTheFilesOfASampleOfASourceWithAShare) {
  Env& env = *Env::Posix();
  const std::string text = *env.ReadFile(job_.root() + "/corpus.txt");
  ASSERT_TRUE(WriteFileAtomically(env, job_.root() + "/more.txt", text + "Zo\n").ok());
  ASSERT_TRUE(WriteFileAtomically(env, job_.root() + "/last.txt", text + "Na\n").ok());
  job_.values()["data.shard_bytes"] = "1048576";  // the two files of the second source
  job_.values().erase("data.sources");
  job_.values()["data.source"] =
      "[{ name = \"first\", paths = [\"corpus.txt\"], weight = 1 }, "
      "{ name = \"second\", paths = [\"more.txt\", \"last.txt\"], weight = 1 }]";
  job_.Write();
  ASSERT_TRUE(job_.Run().status.ok());
  std::set<std::string> sources;
  for (const char* step : {"1", "2", "3"}) {
    const json model = Audit({"--step", step});
    for (const json& sample : model["step_samples"]) {
      const std::string source = sample["source"];
      sources.insert(source);
      const bool is_first = source == "first";
      const std::string first_file = sample["first_file"], last_file = sample["last_file"];
      EXPECT_TRUE(first_file.ends_with(is_first ? "/corpus.txt" : "/more.txt")) << sample;
      EXPECT_TRUE(last_file.ends_with(is_first ? "/corpus.txt" : "/last.txt")) << sample;
    }
  }
  EXPECT_EQ(sources.size(), 2u);
}

TEST_F(AuditTest, AForgedStepIsFoundAndARecordThatIsGoneSaidSo) {
  RunUntilARankDies();
  Env& env = *Env::Posix();
  const std::string path = SamplesFolder() + "/1.1";
  const std::string whole = *env.ReadFile(path);
  std::string forged;
  ASSERT_TRUE(storage::ReadRecordLines(whole, [&](const json& line) {
                json copy = line;
                if (line.value("step", 0) == 3) copy["samples"] = kBatch - 1;
                forged += storage::RecordLine(copy);
                return absl::OkStatus();
              }).ok());
  ASSERT_TRUE(WriteFileAtomically(env, path, forged).ok());
  const json model = Audit({}, /*code=*/3);
  EXPECT_EQ(model["verdict"], "fails");
  ASSERT_EQ(model["fault_count"], 1);
  EXPECT_EQ(model["faults"][0]["step"], 3);
  const RunResult said = job_.Halcyon({"audit"});
  EXPECT_NE(said.output.find("error: model: step 3: expected 5 samples"), std::string::npos)
      << said.output;

  ASSERT_TRUE(env.RemoveTree(SamplesFolder()).ok());
  const std::string gone = "steps 1 to 4: the record of claim 1, launch 1 is gone";
  EXPECT_EQ(Audit({}, /*code=*/3)["faults"][0]["what"], gone);
  // What goes on from there knows of its own steps.
  GoOnWithThreeRanks();
  const json rest = Audit({}, /*code=*/3);
  EXPECT_EQ(rest["verdict"], "fails");
  EXPECT_EQ(rest["faults"][0]["what"], gone);
  EXPECT_EQ(rest["unrecorded_steps"], 4);
  EXPECT_EQ(rest["samples"], 12 * kBatch);

  const std::string kept = job_.ArtifactOf("model") + "/samples.log";
  std::string bytes = *env.ReadFile(kept);
  bytes[bytes.size() / 2] ^= 1;
  ASSERT_TRUE(WriteFileAtomically(env, kept, bytes).ok());
  const RunResult damaged = job_.Halcyon({"audit", "--stage", "model"});
  EXPECT_EQ(damaged.status.code, 3) << damaged.output;
  EXPECT_NE(damaged.output.find("samples.log"), std::string::npos) << damaged.output;
}

// The lines of the shorter run go along with its checkpoint.
TEST_F(AuditTest, HoldsWhereAShorterRunWentOn) {
  job_.values()["train.decay"] = "\"constant\"";
  job_.values()["train.steps"] = "9";
  job_.Write();
  ASSERT_TRUE(job_.Run().status.ok());
  const RunResult more =
      job_.Halcyon({"run", "--set", "train.steps=13", "--set", "launch.ranks=1", job_.job_file()});
  ASSERT_TRUE(more.status.ok()) << more.output;
  const json model = Audit({"--text"});
  EXPECT_EQ(model["verdict"], "holds");
  EXPECT_EQ(model["samples"], 13 * kBatch);
  EXPECT_EQ(model["launches"], json::array({Made(1, 1, 2, 1, 9), Made(1, 1, 1, 10, 13)}));
}

}  // namespace
}  // namespace halcyon
