#include "base/env.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "base/file_descriptor.h"
#include "tests/testing/faulty_env.h"
#include "tests/testing/temp_dir.h"

namespace halcyon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::StatusCode CodeOf(const absl::Status& status) { return status.code(); }
template <typename T>
absl::StatusCode CodeOf(const absl::StatusOr<T>& result) {
  return result.status().code();
}

// The contract of Env, which the faulty one fulfils while no fault is set.
class EnvTest : public ::testing::TestWithParam<bool> {
 protected:
  std::string Path(const std::string& name) const { return dir_.Path(name); }
  void Write(const std::string& name, std::string_view bytes) {
    auto file = env_.NewWritableFile(Path(name));
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE((*file)->Append(bytes).ok());
    ASSERT_TRUE((*file)->Sync().ok());
    ASSERT_TRUE((*file)->Close().ok());
  }
  mode_t ModeOf(const std::string& name) {
    struct stat info {};
    EXPECT_EQ(stat(Path(name).c_str(), &info), 0);
    return info.st_mode & 0777;
  }

  testing::TempDir dir_;
  testing::FaultyEnv faulty_{Env::Posix()};
  Env& env_ = GetParam() ? static_cast<Env&>(faulty_) : *Env::Posix();
};

INSTANTIATE_TEST_SUITE_P(All, EnvTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Faulty" : "Posix"; });

TEST_P(EnvTest, BytesComeBack) {
  const std::string bytes("a\0b\n\xff", 5);
  Write("a", bytes);
  EXPECT_EQ(env_.ReadFile(Path("a")).value(), bytes);
  EXPECT_EQ(env_.FileSize(Path("a")).value(), 5u);
  EXPECT_EQ(env_.ReadRange(Path("a"), 1, 3).value(), bytes.substr(1, 3));
  EXPECT_EQ(env_.ReadRange(Path("a"), 5, 0).value(), "");
}

TEST_P(EnvTest, AppendsAddUpAndANewFileStartsEmpty) {
  Write("a", "a long first content");
  auto file = env_.NewWritableFile(Path("a")).value();
  EXPECT_EQ(env_.FileSize(Path("a")).value(), 0u);
  ASSERT_TRUE(file->Append("x").ok());
  ASSERT_TRUE(file->Append("").ok());
  ASSERT_TRUE(file->Append("yz").ok());
  ASSERT_TRUE(file->Close().ok());
  EXPECT_EQ(env_.ReadFile(Path("a")).value(), "xyz");
}

TEST_P(EnvTest, ReadingPastTheEndIsDataLoss) {
  Write("a", "12345");
  for (const auto& [offset, size] : {std::pair{3, 3}, {5, 1}, {9, 1}}) {
    const auto bytes = env_.ReadRange(Path("a"), offset, size);
    EXPECT_EQ(CodeOf(bytes), absl::StatusCode::kDataLoss);
    EXPECT_THAT(MessageOf(bytes.status()), HasSubstr(Path("a")));
  }
}

TEST_P(EnvTest, MissingPathsAreNotFoundAndNamed) {
  const std::string none = Path("none");
  const absl::Status statuses[] = {
      env_.ReadFile(none).status(), env_.ReadRange(none, 0, 1).status(),
      env_.FileSize(none).status(), env_.ListDir(none).status(),
      env_.Rename(none, Path("x")), env_.RemoveFile(none),
      env_.SyncDir(none),           env_.NewWritableFile(JoinPath(none, "a")).status(),
  };
  for (const absl::Status& status : statuses) {
    EXPECT_EQ(CodeOf(status), absl::StatusCode::kNotFound) << status;
    EXPECT_THAT(MessageOf(status), HasSubstr(none));
  }
  EXPECT_FALSE(env_.Exists(none));
}

TEST_P(EnvTest, AFolderIsNotAFile) {
  EXPECT_EQ(CodeOf(env_.FileSize(dir_.path())), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(env_.ReadFile(dir_.path())), absl::StatusCode::kInvalidArgument);
  Write("a", "");
  EXPECT_FALSE(env_.CreateDirs(Path("a/b")).ok());
}

TEST_P(EnvTest, WhatHasNoSizeIsReadToItsEnd) {
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  const std::string bytes(100'000, 'x');  // more than a pipe holds
  std::jthread writer([&] {
    const auto fifo = FileDescriptor::Open(Path("fifo"), O_WRONLY);
    WriteAll(fifo->get(), bytes);
  });
  EXPECT_EQ(env_.ReadFile(Path("fifo")).value(), bytes);
  EXPECT_THAT(env_.ReadFile("/proc/self/status").value(), HasSubstr("VmSize"));
}

TEST_P(EnvTest, FoldersAreMadeWithTheirParentsAndPrivate) {
  ASSERT_TRUE(env_.CreateDirs(Path("x/y/z")).ok());
  EXPECT_TRUE(env_.CreateDirs(Path("x/y/z")).ok());
  EXPECT_TRUE(env_.Exists(Path("x/y/z")));
  EXPECT_EQ(ModeOf("x"), 0700u);
  EXPECT_EQ(ModeOf("x/y/z"), 0700u);
}

TEST_P(EnvTest, ListDirSortsNames) {
  Write("b", "");
  Write("a", "");
  ASSERT_TRUE(env_.CreateDirs(Path("aa")).ok());
  EXPECT_THAT(env_.ListDir(dir_.path()).value(), ElementsAre("a", "aa", "b"));
}

TEST_P(EnvTest, RenameReplacesTheTarget) {
  Write("old", "old");
  Write("new", "new");
  ASSERT_TRUE(env_.Rename(Path("new"), Path("old")).ok());
  EXPECT_EQ(env_.ReadFile(Path("old")).value(), "new");
  EXPECT_FALSE(env_.Exists(Path("new")));
  EXPECT_TRUE(env_.SyncDir(dir_.path()).ok());
}

TEST_P(EnvTest, RemoveTreeTakesEverythingAndIsFineWithNothing) {
  ASSERT_TRUE(env_.CreateDirs(Path("x/y")).ok());
  Write("x/y/a", "1");
  Write("x/b", "2");
  Write("c", "3");
  ASSERT_TRUE(env_.RemoveTree(Path("x")).ok());
  EXPECT_TRUE(env_.RemoveTree(Path("x")).ok());
  EXPECT_THAT(env_.ListDir(dir_.path()).value(), ElementsAre("c"));
  ASSERT_TRUE(env_.RemoveFile(Path("c")).ok());
  EXPECT_THAT(env_.ListDir(dir_.path()).value(), ElementsAre());
}

TEST_P(EnvTest, AtomicWriteReplacesAndLeavesNothingElse) {
  ASSERT_TRUE(WriteFileAtomically(env_, Path("a"), "first").ok());
  ASSERT_TRUE(WriteFileAtomically(env_, Path("a"), "second").ok());
  EXPECT_EQ(env_.ReadFile(Path("a")).value(), "second");
  EXPECT_THAT(env_.ListDir(dir_.path()).value(), ElementsAre("a"));
}

TEST(WriteFileAtomically, AFullDiskLeavesTheOldBytes) {
  const testing::TempDir dir;
  testing::FaultyEnv env(Env::Posix());
  ASSERT_TRUE(WriteFileAtomically(env, dir.Path("a"), "first").ok());
  env.FailWritesAfter(3);
  EXPECT_EQ(CodeOf(WriteFileAtomically(env, dir.Path("a"), "second")),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(env.ReadFile(dir.Path("a")).value(), "first");
}

TEST(WriteFileAtomically, IsDurableWhenItReturns) {
  const testing::TempDir dir;
  testing::FaultyEnv env(Env::Posix());
  ASSERT_TRUE(WriteFileAtomically(env, dir.Path("a"), "first").ok());
  ASSERT_TRUE(WriteFileAtomically(env, dir.Path("a"), "second").ok());
  ASSERT_TRUE(env.DropUnsynced().ok());
  EXPECT_EQ(env.ReadFile(dir.Path("a")).value(), "second");
}

TEST(PosixEnv, AFullDeviceIsResourceExhausted) {
  auto file = Env::Posix()->NewWritableFile("/dev/full");
  ASSERT_TRUE(file.ok()) << file.status();
  const absl::Status status = (*file)->Append("x");
  EXPECT_EQ(CodeOf(status), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(MessageOf(status), HasSubstr("/dev/full"));
}

TEST(Paths, JoinAndSplit) {
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("", "b"), "b");
  EXPECT_EQ(JoinPath("a", "/b"), "/b");
  EXPECT_EQ(DirName("/a/b/c"), "/a/b");
  EXPECT_EQ(DirName("/a"), "/");
  EXPECT_EQ(DirName("c"), ".");
  EXPECT_EQ(BaseName("/a/b/c"), "c");
  EXPECT_EQ(BaseName("c"), "c");
}

// A path that cannot be looked up may exist: a file must not be made anew because a permission
// hides it.
TEST_P(EnvTest, APathThatCannotBeLookedUpCountsAsExisting) {
  ASSERT_EQ(symlink(Path("loop").c_str(), Path("loop").c_str()), 0);
  EXPECT_TRUE(env_.Exists(Path("loop")));
  EXPECT_THAT(MessageOf(env_.ReadFile(Path("loop")).status()), HasSubstr("symbolic links"));
  Write("file", "");
  EXPECT_FALSE(env_.Exists(Path("file/below")));
  EXPECT_FALSE(env_.Exists(Path("none")));
}

TEST_P(EnvTest, AFileInAFoldersPlaceIsNamed) {
  Write("a", "");
  for (const char* path : {"a", "a/b"}) {
    const absl::Status status = env_.CreateDirs(Path(path));
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(MessageOf(status), HasSubstr(Path("a") + ": is a file, expected a folder"));
  }
}

}  // namespace
}  // namespace halcyon
