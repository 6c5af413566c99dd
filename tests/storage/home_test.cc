#include "storage/home.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/storage/damage.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::storage {
namespace {

using ::testing::HasSubstr;
using Code = absl::StatusCode;
using Mode = FileLock::Mode;

// Sets a variable of the environment, or takes it away, until the end of the scope.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    if (const char* before = getenv(name)) before_ = before;
    if (value == nullptr) {
      unsetenv(name);
    } else {
      setenv(name, value, 1);
    }
  }
  ~ScopedVariable() {
    if (before_) {
      setenv(name_, before_->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

TEST(ChooseHome, TheFlagComesFirstThenTheVariables) {
  ScopedVariable halcyon("HALCYON_HOME", "/h/halcyon");
  ScopedVariable state("XDG_STATE_HOME", "/x/state");
  ScopedVariable home("HOME", "/root");
  EXPECT_EQ(*ChooseHome("/flag"), "/flag");
  EXPECT_EQ(*ChooseHome(""), "/h/halcyon");
  ScopedVariable no_halcyon("HALCYON_HOME", nullptr);
  EXPECT_EQ(*ChooseHome(""), "/x/state/halcyon");
  ScopedVariable relative("XDG_STATE_HOME", "state");
  EXPECT_EQ(*ChooseHome(""), "/root/.local/state/halcyon");
  ScopedVariable no_state("XDG_STATE_HOME", nullptr);
  EXPECT_EQ(*ChooseHome(""), "/root/.local/state/halcyon");
  ScopedVariable no_home("HOME", nullptr);
  EXPECT_EQ(ChooseHome("").status().code(), Code::kInvalidArgument);
  EXPECT_THAT(MessageOf(ChooseHome("").status()), HasSubstr("--home"));
}

TEST(ChooseHome, IsAbsoluteAndPlain) {
  EXPECT_EQ(*ChooseHome("some/./folder/../home/"),
            (std::filesystem::current_path() / "some/home").string());
  EXPECT_EQ(*ChooseHome("/"), "/");
}

TEST(HomeLayout, Paths) {
  const HomeLayout home{"/home"};
  const std::string fingerprint = "0123456789abcdef" + std::string(48, 'f');
  EXPECT_EQ(home.Format(), "/home/format");
  EXPECT_EQ(home.Sources(), "/home/sources");
  EXPECT_EQ(home.Owner("j"), "/home/jobs/j/owner");
  EXPECT_EQ(home.Journal("j"), "/home/jobs/j/journal");
  EXPECT_EQ(home.Job("j"), "/home/jobs/j");
  EXPECT_EQ(home.JobSpec("j"), "/home/jobs/j/job.toml");
  EXPECT_EQ(home.JobLogs("j"), "/home/jobs/j/logs");
  EXPECT_EQ(home.Socket("j"), "/home/jobs/j/socket");
  EXPECT_EQ(home.AliveFile("j"), "/home/jobs/j/alive");
  EXPECT_EQ(home.ArtifactsOf("tokens"), "/home/artifacts/tokens");
  EXPECT_EQ(home.Artifact("tokens", fingerprint), "/home/artifacts/tokens/0123456789abcdef");
  EXPECT_EQ(home.Work("tokens", fingerprint), "/home/work/tokens-0123456789abcdef");
  EXPECT_EQ(home.Claim("tokens", fingerprint), "/home/claims/tokens-0123456789abcdef");
}

class HomeTest : public ::testing::Test {
 protected:
  testing::TempDir dir_;
};

TEST_F(HomeTest, OpenMakesPrivateFoldersAndIsIdempotent) {
  const std::string root = dir_.Path("a/b");
  for (int i = 0; i < 2; ++i) {
    const auto home = OpenHome(root);
    ASSERT_TRUE(home.ok()) << home.status();
    EXPECT_EQ(home->root, root);
  }
  for (const char* part : {"", "/jobs", "/work", "/artifacts"}) {
    const auto status = std::filesystem::status(root + part);
    EXPECT_TRUE(std::filesystem::is_directory(status));
    EXPECT_EQ(status.permissions(), std::filesystem::perms::owner_all) << part;
  }
}

TEST_F(HomeTest, ManyMayOpenANewOneAtOnce) {
  for (int round = 0; round < 20; ++round) {
    const std::string root = dir_.Path("home-" + std::to_string(round));
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        const auto home = OpenHome(root);
        EXPECT_TRUE(home.ok()) << home.status();
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(*Env::Posix()->ReadFile(root + "/format"), "2\n");
  }
}

TEST_F(HomeTest, APathMayBeDeepAndHaveAnyCharacters) {
  std::string root = dir_.Path("with space, \xC3\xA9 and \"quotes\"");
  while (root.size() < 1000) root += "/a folder of a name that is not short";
  EXPECT_TRUE(OpenHome(root).ok());
  EXPECT_TRUE(Env::Posix()->Exists(root + "/jobs"));
}

TEST_F(HomeTest, RefusesAFile) {
  Overwrite(dir_.Path("file"), "");
  EXPECT_EQ(OpenHome(dir_.Path("file")).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(OpenHome(dir_.Path("file/inside")).status().code(), Code::kInvalidArgument);
}

TEST_F(HomeTest, AFolderOfANewerFormatIsRefused) {
  const HomeLayout home = *OpenHome(dir_.Path("home"));
  EXPECT_EQ(Read(home.Format()), "2\n");
  Overwrite(home.Format(), "3\n");
  const absl::Status status = OpenHome(home.root).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("use a newer Halcyon"));
}

TEST_F(HomeTest, AFolderOfFormat1IsBroughtToThePresentOne) {
  const std::string root = dir_.Path("home");
  ASSERT_TRUE(Env::Posix()->CreateDirs(root + "/journal").ok());
  ASSERT_TRUE(Env::Posix()->CreateDirs(root + "/jobs/old-1").ok());
  Overwrite(root + "/journal/CURRENT", "x");
  Overwrite(root + "/lock", "{}");
  {
    const auto held = FileLock::TryAcquire(root + "/lock", Mode::kExclusive);
    const absl::Status busy = OpenHome(root).status();
    EXPECT_TRUE(absl::IsInvalidArgument(busy)) << busy;
    EXPECT_THAT(MessageOf(busy), HasSubstr("an earlier version of Halcyon is running"));
  }
  ASSERT_TRUE(OpenHome(root).ok());
  EXPECT_EQ(Read(root + "/format"), "2\n");
  EXPECT_EQ(Read(root + "/journal-of-format-1/CURRENT"), "x");
  EXPECT_THAT(Read(root + "/journal"), HasSubstr("has format 2"));
  EXPECT_TRUE(Env::Posix()->Exists(root + "/jobs/old-1"));
  EXPECT_TRUE(OpenHome(root).ok());
}

using FileLockTest = HomeTest;

TEST_F(FileLockTest, ExcludesOthersUntilItEnds) {
  const std::string path = dir_.Path("lock");
  auto first = FileLock::TryAcquire(path, Mode::kExclusive);
  ASSERT_TRUE(first.ok() && *first != nullptr);
  EXPECT_EQ(*FileLock::TryAcquire(path, Mode::kExclusive), nullptr);
  EXPECT_EQ(*FileLock::TryAcquire(path, Mode::kShared), nullptr);
  first->reset();
  auto shared = FileLock::TryAcquire(path, Mode::kShared);
  auto another = FileLock::TryAcquire(path, Mode::kShared);
  EXPECT_NE(*shared, nullptr);
  EXPECT_NE(*another, nullptr);
  EXPECT_EQ(*FileLock::TryAcquire(path, Mode::kExclusive), nullptr);
}

TEST_F(FileLockTest, NeedsItsFolder) {
  EXPECT_EQ(FileLock::TryAcquire(dir_.Path("no/lock"), Mode::kShared).status().code(),
            Code::kNotFound);
}

TEST_F(FileLockTest, EndsWithItsProcess) {
  const std::string path = dir_.Path("lock");
  // The other process ends without running any destructor.
  const auto hold_and_end = [&] {
    const auto lock = FileLock::TryAcquire(path, Mode::kExclusive);
    std::_Exit(lock.ok() && *lock != nullptr ? 0 : 1);
  };
  EXPECT_EXIT(hold_and_end(), ::testing::ExitedWithCode(0), "");
  EXPECT_NE(*FileLock::TryAcquire(path, Mode::kExclusive), nullptr);
}

}  // namespace
}  // namespace halcyon::storage
