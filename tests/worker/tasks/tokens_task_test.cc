// Shards of text on their way into the cache of tokens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/digest.h"
#include "cluster/outputs.h"
#include "pipeline/tokenizer.h"
#include "tests/testing/temp_dir.h"
#include "worker/tasks/tasks.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

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

  // Of a stage that reads this tokenizer: the result for a shard of these files.
  absl::StatusOr<json> Run(TokensTask& task, const std::string& tokenizer,
                           const std::vector<std::string>& names) {
    cluster::Lease lease;
    lease.assignment.stage = "tokens";
    lease.assignment.fingerprint = Sha256::Of(tokenizer);
    lease.assignment.work_dir = dir_.Path("work");
    RETURN_IF_ERROR(env_.CreateDirs(cluster::BuildingDir(lease.assignment)));
    lease.assignment.input_paths["tokenizer"] = dir_.Path(tokenizer);
    json ranges = json::array();
    for (const std::string& name : names) {
      const std::string text = *env_.ReadFile(dir_.Path(name));
      ranges.push_back({dir_.Path(name), 0, text.size(), Xxh3(text)});
    }
    lease.parameters = {{"shard", 0}, {"ranges", std::move(ranges)}};
    return task.Run({&lease, &spec_, &env_, [&](double done) { progress_.push_back(done); }});
  }

  // The size of the file with the text of a.txt.
  absl::StatusOr<uint64_t> FileBytes(TokensTask& task, const std::string& tokenizer) {
    ASSIGN_OR_RETURN(const json result, Run(task, tokenizer, {"a.txt"}));
    return result.at("sst").at("bytes").get<uint64_t>();
  }

  static constexpr char kText[] = "the river\nthe river and the water\n";
  testing::TempDir dir_;
  Env& env_ = *Env::Posix();
  jobs::JobSpec spec_;
  std::vector<double> progress_;
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

TEST_F(TokensTaskTest, FilesOfAShardAreReadOneAfterTheOther) {
  MakeTokenizer("t", /*merges=*/4);
  Write("more.txt", "water and river\n");
  Write("both.txt", std::string(kText) + "water and river\n");
  TokensTask task;
  const auto two = Run(task, "t", {"a.txt", "more.txt"});
  ASSERT_TRUE(two.ok()) << two.status();
  EXPECT_EQ(two->at("facts").at("documents"), 3);
  EXPECT_TRUE(std::ranges::is_sorted(progress_));
  EXPECT_GT(progress_.back(), 0.9);
  EXPECT_LE(progress_.back(), 1);
  const auto one = Run(task, "t", {"both.txt"});
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(two->at("sst").at("bytes"), one->at("sst").at("bytes"));
}

TEST_F(TokensTaskTest, AFewOfManyWarningsAreShown) {
  MakeTokenizer("t", /*merges=*/4);
  std::vector<std::string> names;
  for (int i = 0; i < 6; ++i) {
    names.push_back("latin" + std::to_string(i) + ".txt");
    Write(names.back(), "caf\xe9\n");
  }
  TokensTask task;
  const auto result = Run(task, "t", names);
  ASSERT_TRUE(result.ok()) << result.status();
  const json& warnings = result->at("warnings");
  ASSERT_EQ(warnings.size(), 4u);
  EXPECT_THAT(warnings[2].get<std::string>(), HasSubstr("latin2.txt"));
  EXPECT_THAT(warnings[3].get<std::string>(),
              AllOf(HasSubstr("3 more files of the shard that begins with"),
                    HasSubstr("latin0.txt give a warning")));
}

TEST_F(TokensTaskTest, ALeaseThatIsNoneIsRefused) {
  TokensTask task;
  EXPECT_TRUE(absl::IsInvalidArgument(Run(task, "t", {}).status()));
}

}  // namespace
}  // namespace halcyon::worker
