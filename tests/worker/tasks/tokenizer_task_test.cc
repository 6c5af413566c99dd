// A vocabulary is made of the bytes that entered the fingerprint, or the task fails.
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
using ::testing::HasSubstr;

class TokenizerTaskTest : public ::testing::Test {
 protected:
  TokenizerTaskTest() {
    spec_.data.documents = jobs::DocumentRule::kLines;
    spec_.data.sources = {dir_.Path("a.txt")};
    lease_.assignment.work_dir = dir_.Path("work");
    Write("a.txt", kText);
    lease_.parameters = {{"source_plans", dir_.Path("sources")},
                         {"source_digests", {Sha256::Of(kText)}},
                         {"tokenizer_file_digest", ""}};
  }
  void Write(const std::string& name, const std::string& bytes) {
    ASSERT_TRUE(WriteFileAtomically(env_, dir_.Path(name), bytes).ok());
  }
  absl::StatusOr<json> Run() {
    return RunTokenizerTask({&lease_, &spec_, &env_, [](double) {}});
  }
  void ExpectChanged(const std::string& file) {
    const auto result = Run();
    EXPECT_EQ(result.status().code(), absl::StatusCode::kFailedPrecondition) << result.status();
    EXPECT_THAT(MessageOf(result.status()), HasSubstr(file + ": the file changed while the job"));
    EXPECT_FALSE(env_.Exists(Made(""))) << "nothing is made";
  }

  std::string Made(const std::string& name) {
    const std::string dir = cluster::TaskOutputDir(lease_.assignment, lease_.fence);
    return name.empty() ? dir : JoinPath(dir, name);
  }

  static constexpr char kText[] = "the river\nthe river and the water\n";
  testing::TempDir dir_;
  Env& env_ = *Env::Posix();
  jobs::JobSpec spec_;
  cluster::Lease lease_;
};

TEST_F(TokenizerTaskTest, IsMadeOfTheBytesOfTheFingerprint) {
  const auto result = Run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->contains("warnings"));
  const auto made = pipeline::Tokenizer::Load(Made("tokenizer.json"));
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_GT((*made)->vocab_size(), 258u);
}

TEST_F(TokenizerTaskTest, ASourceThatChangedEndsIt) {
  Write("a.txt", std::string(kText) + "more\n");
  ExpectChanged("a.txt");
}

TEST_F(TokenizerTaskTest, AnImportedFileThatChangedEndsIt) {
  ASSERT_TRUE(Run().ok());
  const std::string bytes = *env_.ReadFile(Made("tokenizer.json"));
  Write("t.json", bytes);
  ASSERT_TRUE(env_.RemoveTree(dir_.Path("work")).ok());
  spec_.tokenizer.path = dir_.Path("t.json");
  ExpectChanged("t.json");
  lease_.parameters["tokenizer_file_digest"] = Sha256::Of(bytes);
  EXPECT_TRUE(Run().ok());
}

TEST_F(TokenizerTaskTest, TextThatIsMostlyNotUtf8GivesAWarning) {
  const std::string text = std::string(kText) + "\xFF\xFF\xFF\n";
  Write("a.txt", text);
  lease_.parameters["source_digests"] = {Sha256::Of(text)};
  const auto result = Run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->at("warnings").at(0).get<std::string>(),
              HasSubstr("3 sequences that are not UTF-8"));
}

TEST_F(TokenizerTaskTest, TextThatIsAllHeldOutIsAnError) {
  spec_.data.heldout = 1;
  EXPECT_THAT(MessageOf(Run().status()), HasSubstr("every document is held out"));
}

}  // namespace
}  // namespace halcyon::worker
