#include "tests/testing/faulty_env.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/temp_dir.h"

namespace halcyon::testing {
namespace {

using ::testing::HasSubstr;

class FaultyEnvTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return dir_.Path(name); }

  std::unique_ptr<WritableFile> Create(const std::string& name) {
    auto file = env_.NewWritableFile(Path(name));
    EXPECT_TRUE(file.ok()) << file.status();
    return std::move(file).value();
  }
  void Write(const std::string& name, std::string_view bytes, bool sync) {
    auto file = Create(name);
    ASSERT_TRUE(file->Append(bytes).ok());
    if (sync) {
      ASSERT_TRUE(file->Sync().ok());
    }
    ASSERT_TRUE(file->Close().ok());
  }
  void Rename(const std::string& from, const std::string& to) {
    ASSERT_TRUE(env_.Rename(Path(from), Path(to)).ok());
  }
  void SyncDir(const std::string& name = "") { ASSERT_TRUE(env_.SyncDir(Path(name)).ok()); }
  void CutPower() { ASSERT_TRUE(env_.DropUnsynced().ok()); }
  // "(none)" when the file does not exist.
  std::string Content(const std::string& name) {
    const auto bytes = Env::Posix()->ReadFile(Path(name));
    return bytes.ok() ? *bytes : "(none)";
  }

  TempDir dir_;
  FaultyEnv env_{Env::Posix()};
};

TEST_F(FaultyEnvTest, FullDiskTakesWhatFitsThenFailsUntilToldOtherwise) {
  env_.FailWritesAfter(5);
  auto file = Create("a");
  ASSERT_TRUE(file->Append("123").ok());
  const absl::Status status = file->Append("4567");
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(MessageOf(status), HasSubstr(Path("a")));
  EXPECT_FALSE(file->Append("8").ok());
  EXPECT_EQ(Content("a"), "12345");
  env_.StopFailing();
  EXPECT_TRUE(file->Append("6").ok());
  EXPECT_EQ(Content("a"), "123456");
}

TEST_F(FaultyEnvTest, PowerCutKeepsBytesUpToTheLastSync) {
  auto file = Create("a");
  ASSERT_TRUE(file->Append("kept").ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(file->Append("lost").ok());
  SyncDir();
  CutPower();
  EXPECT_EQ(Content("a"), "kept");
  EXPECT_EQ(file->Append("more").code(), absl::StatusCode::kUnavailable);
}

TEST_F(FaultyEnvTest, PowerCutRemovesAFileWithoutSyncedEntry) {
  Write("a", "bytes", /*sync=*/true);
  CutPower();
  EXPECT_EQ(Content("a"), "(none)");
}

TEST_F(FaultyEnvTest, PowerCutPutsBackWhatAnUnsyncedRenameReplaced) {
  Write("a", "old", /*sync=*/true);
  SyncDir();
  Write("a.tmp", "new", /*sync=*/true);
  Rename("a.tmp", "a");
  EXPECT_EQ(Content("a"), "new");
  CutPower();
  EXPECT_EQ(Content("a"), "old");
  EXPECT_EQ(Content("a.tmp"), "(none)");
}

TEST_F(FaultyEnvTest, SyncedRenameOfUnsyncedBytesLeavesAnEmptyFile) {
  Write("a.tmp", "new", /*sync=*/false);
  Rename("a.tmp", "a");
  SyncDir();
  CutPower();
  EXPECT_EQ(Content("a"), "");
}

TEST_F(FaultyEnvTest, UnsyncedRenameOfAFolderGoesBackToItsOldName) {
  ASSERT_TRUE(env_.CreateDirs(Path("step.tmp")).ok());
  Write("step.tmp/shard", "bytes", /*sync=*/true);
  SyncDir("step.tmp");
  SyncDir();
  Rename("step.tmp", "step");
  CutPower();
  EXPECT_EQ(Content("step.tmp/shard"), "bytes");
  EXPECT_FALSE(env_.Exists(Path("step")));
}

TEST_F(FaultyEnvTest, FolderWithoutSyncedEntryTakesItsFilesAlong) {
  ASSERT_TRUE(env_.CreateDirs(Path("x/y")).ok());
  Write("x/y/a", "bytes", /*sync=*/true);
  SyncDir("x/y");
  SyncDir("x");
  CutPower();
  EXPECT_FALSE(env_.Exists(Path("x")));
}

TEST_F(FaultyEnvTest, AtomicWriteSurvivesThePowerCut) {
  ASSERT_TRUE(WriteFileAtomically(env_, Path("a"), "first").ok());
  CutPower();
  EXPECT_EQ(Content("a"), "first");
  env_.FailWritesAfter(2);
  EXPECT_FALSE(WriteFileAtomically(env_, Path("a"), "second").ok());
  CutPower();
  EXPECT_EQ(Content("a"), "first");
  EXPECT_EQ(Content("a.tmp"), "(none)");
}

}  // namespace
}  // namespace halcyon::testing
