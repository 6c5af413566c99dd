// Shards of text on their way into the cache of tokens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "cluster/outputs.h"
#include "pipeline/tokenizer.h"
#include "tests/testing/temp_dir.h"
#include "worker/tasks/tasks.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;

class TokensTaskTest : public ::testing::Test {
 protected:
  TokensTaskTest() {
    spec_.data.documents = jobs::DocumentRule::kLines;
    spec_.data.sources = {dir_.Path("a.txt")};
    spec_.data.heldout = 0;
    Write("a.txt", kText);
  }
  void Write(const std::string& path, const std::string& bytes) {
    ASSERT_TRUE(WriteFileAtomically(env_, dir_.Path(path), bytes).ok());
  }

  // An artifact of a tokenizer that has learnt so many merges of the text.
  void MakeTokenizer(const std::string& name, uint32_t merges) {
    const auto trainer = pipeline::BpeTrainer::Create({.vocab_size = 258 + merges});
    ASSERT_TRUE(trainer.ok());
    (*trainer)->Add(kText);
    const auto tokenizer = (*trainer)->Train();
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    ASSERT_TRUE(env_.CreateDirs(dir_.Path(name)).ok());
    Write(name + "/tokenizer.json", (*tokenizer)->ToJson());
  }

  // Of a stage that reads this tokenizer: the size of the file with the text, which is one shard.
  absl::StatusOr<uint64_t> FileBytes(TokensTask& task, const std::string& tokenizer) {
    cluster::Lease lease;
    lease.assignment.stage = "tokens";
    lease.assignment.fingerprint = Sha256::Of(tokenizer);
    lease.assignment.work_dir = dir_.Path("work");
    RETURN_IF_ERROR(env_.CreateDirs(cluster::BuildingDir(lease.assignment)));
    lease.assignment.input_paths["tokenizer"] = dir_.Path(tokenizer);
    lease.parameters = {{"shard",
                         {{"shard", 0},
                          {"path", dir_.Path("a.txt")},
                          {"begin", 0},
                          {"end", sizeof(kText) - 1},
                          {"xxh3", Xxh3(kText)}}}};
    ASSIGN_OR_RETURN(const json result, task.Run({&lease, &spec_, &env_, [](double) {}}));
    return result.at("sst").at("bytes").get<uint64_t>();
  }

  static constexpr char kText[] = "the river\nthe river and the water\n";
  testing::TempDir dir_;
  Env& env_ = *Env::Posix();
  jobs::JobSpec spec_;
};

TEST_F(TokensTaskTest, KeepsTheTokenizerWhileTheStageIsTheSame) {
  MakeTokenizer("t", /*merges=*/4);
  TokensTask task;
  const auto first = FileBytes(task, "t");
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(env_.RemoveTree(dir_.Path("t")).ok());
  const auto second = FileBytes(task, "t");
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(*first, *second);
}

TEST_F(TokensTaskTest, AnotherStageHasItsOwnTokenizer) {
  MakeTokenizer("few", /*merges=*/1);
  MakeTokenizer("many", /*merges=*/8);
  TokensTask task;
  const auto few = FileBytes(task, "few"), many = FileBytes(task, "many");
  ASSERT_TRUE(few.ok() && many.ok()) << few.status() << many.status();
  EXPECT_LT(*many, *few);
}

TEST_F(TokensTaskTest, ATokenizerThatCannotBeReadIsNotKept) {
  TokensTask task;
  EXPECT_FALSE(FileBytes(task, "t").ok());
  MakeTokenizer("t", /*merges=*/4);
  EXPECT_TRUE(FileBytes(task, "t").ok());
}

}  // namespace
}  // namespace halcyon::worker
