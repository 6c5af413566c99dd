// One job, and damage of every kind to its files on the disk.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/digest.h"
#include "base/env.h"
#include "storage/home.h"
#include "tests/end_to_end/small_job.h"

namespace halcyon {
namespace {

using nlohmann::json;

class DamageTest : public testing::Test {
 protected:
  // Made once; every test leaves the state folder as whole as it was.
  static void SetUpTestSuite() {
    job_ = new SmallJob("damage");
    const RunResult run = job_->Run();
    ASSERT_TRUE(run.status.ok()) << run.output;
  }
  static void TearDownTestSuite() { delete job_; }

  static void FlipByte(const std::string& path) {
    std::string bytes = *env_.ReadFile(path);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    ASSERT_TRUE(WriteFileAtomically(env_, path, bytes).ok());
  }
  // Refused with exit code 3 and an error that names the file, after one try.
  static void ExpectRefused(const RunResult& result, const std::string& path) {
    EXPECT_EQ(result.status.code, 3) << result.output;
    EXPECT_NE(result.output.find(path), std::string::npos) << result.output;
    EXPECT_NE(result.output.find("--remake-damaged"), std::string::npos) << result.output;
    EXPECT_EQ(result.output.find("launched again"), std::string::npos) << result.output;
    EXPECT_EQ(result.output.find("failed 2 times"), std::string::npos) << result.output;
  }
  static RunResult Generate(const std::vector<std::string>& named = {}) {
    std::vector<std::string> args = {"generate", "--prompt",      "word", "--chunks",
                                     "2",        "--temperature", "1"};
    args.insert(args.end(), named.begin(), named.end());
    return job_->Halcyon(args);
  }

  static Env& env_;
  static SmallJob* job_;
};

Env& DamageTest::env_ = *Env::Posix();
SmallJob* DamageTest::job_ = nullptr;

TEST_F(DamageTest, AFlippedBitInWeightsIsRefusedByNameAndMadeAgainWhenTold) {
  const std::string model = job_->WeightsOf("model");
  const std::string dir = job_->ArtifactOf("autoencoder");
  const std::string weights = dir + "/model.safetensors";
  FlipByte(weights);
  ExpectRefused(Generate(), weights);
  ExpectRefused(
      job_->Halcyon({"probe", "--checkpoint", dir, "--inputs",
                     job_->ArtifactOf("model") + "/model.safetensors", "--output", "none"}),
      weights);

  const RunResult verified = job_->Halcyon({"cache", "verify", "--json"});
  EXPECT_EQ(verified.status.code, 3) << verified.output;
  const json report = json::parse(verified.output.substr(0, verified.output.rfind("error: ")));
  std::map<std::string, json> by_stage;
  for (const json& artifact : report.at("artifacts")) by_stage[artifact.at("stage")] = artifact;
  EXPECT_EQ(by_stage["autoencoder"]["state"], "damaged");
  EXPECT_EQ(by_stage["tokens"]["made_from_damaged"], json::array());
  for (const char* stage : {"latents", "model", "eval"}) {
    EXPECT_EQ(by_stage[stage]["state"], "ok") << stage;
    EXPECT_EQ(by_stage[stage]["made_from_damaged"], json::array({dir})) << stage;
  }

  // As after a kill between the autoencoder and the latents.
  for (const char* stage : {"latents", "model", "eval"}) {
    ASSERT_TRUE(env_.RemoveTree(job_->ArtifactOf(stage)).ok());
  }
  ASSERT_TRUE(env_.RemoveTree(job_->home() + "/work").ok());
  ExpectRefused(job_->Run(), weights);
  const RunResult again = job_->Halcyon({"run", job_->job_file(), "--remake-damaged"});
  EXPECT_TRUE(again.status.ok()) << again.output;
  ASSERT_TRUE(env_.RemoveTree(dir + ".damaged-1").ok());
  EXPECT_EQ(job_->WeightsOf("model"), model);
  EXPECT_TRUE(job_->Halcyon({"cache", "verify"}).status.ok());
}

TEST_F(DamageTest, LatentsOfOtherWeightsAreFoundByEncodingThemAgain) {
  const RunResult same = job_->Halcyon({"cache", "verify-latents"});
  EXPECT_EQ(same.status.code, 0) << same.output;
  EXPECT_NE(same.output.find("all equal what is stored"), std::string::npos) << same.output;

  SmallJob other("damage-other");
  other.values()["seed"] = "4";
  other.Write();
  const RunResult run = other.Run();
  ASSERT_TRUE(run.status.ok()) << run.output;
  // Folders without a record: no digest says that they do not belong together.
  const std::string weights = job_->root() + "/other-weights", latents = job_->root() + "/latents";
  std::filesystem::create_directory(weights);
  for (const char* name : {"/model.safetensors", "/job.toml"}) {
    std::filesystem::copy_file(other.ArtifactOf("autoencoder") + name, weights + name);
  }
  std::filesystem::copy(job_->ArtifactOf("latents"), latents,
                        std::filesystem::copy_options::recursive);
  std::filesystem::remove(latents + "/artifact.json");
  const RunResult differs =
      job_->Halcyon({"cache", "verify-latents", "--job", job_->Status()["job_id"], "--autoencoder",
                     weights, "--latents", latents});
  EXPECT_EQ(differs.status.code, 3) << differs.output;
  EXPECT_NE(differs.output.find("other weights or another text made it"), std::string::npos)
      << differs.output;
}

TEST_F(DamageTest, ADamagedTokenizerIsNoFaultOfTheJobFile) {
  const std::string path = job_->ArtifactOf("tokenizer") + "/tokenizer.json";
  const std::string bytes = *env_.ReadFile(path);
  for (const std::string& damaged : {std::string(bytes.size(), ' '), std::string()}) {
    ASSERT_TRUE(WriteFileAtomically(env_, path, damaged).ok());
    ExpectRefused(Generate(), path);
    ExpectRefused(job_->Halcyon({"eval", "--windows", "2"}), path);
  }
  ExpectRefused(job_->Run(), path);
  ASSERT_TRUE(WriteFileAtomically(env_, path, bytes).ok());
  EXPECT_TRUE(job_->Run().status.ok());
}

TEST_F(DamageTest, WhatCannotBeReadIsNotCalledDamaged) {
  const std::string weights = job_->ArtifactOf("model") + "/model.safetensors";
  ASSERT_TRUE(env_.Rename(weights, weights + ".kept").ok());
  std::filesystem::create_symlink(weights, weights);  // to itself
  const RunResult verified = job_->Halcyon({"cache", "verify"});
  EXPECT_EQ(verified.status.code, 2) << verified.output;
  EXPECT_NE(verified.output.find("unreadable: "), std::string::npos) << verified.output;
  EXPECT_EQ(verified.output.find("damaged"), std::string::npos) << verified.output;
  ASSERT_TRUE(env_.Rename(weights + ".kept", weights).ok());
}

TEST_F(DamageTest, ALostJournalIsNoLossOfWork) {
  const storage::HomeLayout home{job_->home()};
  const std::string id = job_->Status().at("job_id");
  ASSERT_TRUE(env_.RemoveTree(home.Journal(id)).ok());
  ASSERT_TRUE(env_.RemoveTree(home.Owner(id)).ok());
  const RunResult run = job_->Run();
  EXPECT_TRUE(run.status.ok()) << run.output;
  for (const json& stage : job_->Status().at("stages")) {
    EXPECT_EQ(stage.at("state"), "reused") << stage;
  }
}

// The line of docs/reference_checkpoints.md, from a job to text.
TEST_F(DamageTest, AnExportedJobIsImportedAndWrites) {
  const std::string out = job_->root() + "/published", imported = job_->root() + "/imported";
  RunResult result = job_->Halcyon({"checkpoint", "export", "--job", "small", "--to", out});
  ASSERT_TRUE(result.status.ok()) << result.output;
  for (const char* file : {"config.json", "tokenizer.json", "autoencoder/model.safetensors"}) {
    EXPECT_TRUE(env_.Exists(out + "/" + file)) << file;
  }
  result = job_->Halcyon({"checkpoint", "import", "--from", out, "--to", imported});
  ASSERT_TRUE(result.status.ok()) << result.output;
  const RunResult all = Generate({"--autoencoder", imported + "/autoencoder", "--model",
                                  imported + "/model", "--tokenizer", imported});
  EXPECT_TRUE(all.status.ok()) << all.output;
  EXPECT_EQ(all.OutputWithoutInputs(), Generate().OutputWithoutInputs());
  // Named alone, the model leads to the rest of its import; with another's parts it is refused.
  EXPECT_EQ(Generate({"--model", imported + "/model"}).OutputWithoutInputs(),
            all.OutputWithoutInputs());
  FlipByte(imported + "/tokenizer.json");
  const RunResult mixed = Generate({"--model", imported + "/model", "--tokenizer", imported});
  EXPECT_EQ(mixed.status.code, 2) << mixed.output;
  EXPECT_NE(mixed.output.find("was made with another tokenizer"), std::string::npos)
      << mixed.output;
  // By the artifact's name alone, the same checkpoint.
  result = job_->Halcyon({"checkpoint", "export", "--from", job_->ArtifactOf("model"), "--to",
                          job_->root() + "/by-artifact"});
  ASSERT_TRUE(result.status.ok()) << result.output;
  EXPECT_EQ(*Sha256OfFile(job_->root() + "/by-artifact/model.safetensors"),
            *Sha256OfFile(out + "/model.safetensors"));
}

}  // namespace
}  // namespace halcyon
