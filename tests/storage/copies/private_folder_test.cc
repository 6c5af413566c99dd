#include "storage/copies/private_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/testing/temp_dir.h"

namespace halcyon::storage {
namespace {

using ::testing::HasSubstr;

class PrivateFolderTest : public ::testing::Test {
 protected:
  std::string Refusal() {
    const auto opened = OpenPrivateFolder(dir_.path());
    EXPECT_TRUE(absl::IsFailedPrecondition(opened.status())) << opened.status();
    return MessageOf(opened.status());
  }

  testing::TempDir dir_;
  const std::string own_ = dir_.Path("halcyon-" + std::to_string(geteuid()));
};

TEST_F(PrivateFolderTest, IsMadeOnceForTheUserAlone) {
  const mode_t before = umask(0);
  EXPECT_EQ(OpenPrivateFolder(dir_.path()).value_or("none"), own_);
  umask(before);
  struct stat info;
  ASSERT_EQ(stat(own_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & ALLPERMS, 0700u);
  EXPECT_EQ(OpenPrivateFolder(dir_.path()).value_or("none"), own_);
  // As /tmp is.
  ASSERT_EQ(chmod(dir_.path().c_str(), 01777), 0);
  EXPECT_TRUE(OpenPrivateFolder(dir_.path()).ok());
}

TEST_F(PrivateFolderTest, WhatOthersMayHavePutThereIsRefused) {
  std::filesystem::create_symlink(dir_.path(), own_);
  EXPECT_THAT(Refusal(), HasSubstr("is a file or a symbolic link"));
  std::filesystem::remove(own_);
  ASSERT_EQ(mkdir(own_.c_str(), 0750), 0);
  EXPECT_THAT(Refusal(), HasSubstr("others have rights to it; run chmod 0700 " + own_));
  ASSERT_EQ(chmod(own_.c_str(), 0700), 0);
  EXPECT_TRUE(OpenPrivateFolder(dir_.path()).ok());
  if (geteuid() != 0) return;  // who cannot give a folder away
  constexpr uid_t kOther = 61'001;
  ASSERT_EQ(chown(own_.c_str(), kOther, kOther), 0);
  EXPECT_THAT(Refusal(), HasSubstr(own_ + ": belongs to user 61001"));
  ASSERT_EQ(chown(own_.c_str(), 0, 0), 0);
  ASSERT_EQ(chown(dir_.path().c_str(), kOther, kOther), 0);
  EXPECT_THAT(Refusal(), HasSubstr(dir_.path() + ": belongs to user 61001"));
}

TEST_F(PrivateFolderTest, IsNotMadeWhereOthersCouldReplaceIt) {
  ASSERT_EQ(chmod(dir_.path().c_str(), 0777), 0);
  EXPECT_THAT(Refusal(), HasSubstr("not sticky; run chmod +t " + dir_.path()));
  ASSERT_EQ(chmod(dir_.path().c_str(), 0770), 0);
  EXPECT_THAT(Refusal(), HasSubstr("not sticky"));
  EXPECT_FALSE(std::filesystem::exists(own_));
  EXPECT_TRUE(absl::IsNotFound(OpenPrivateFolder(dir_.Path("none")).status()));
}

}  // namespace
}  // namespace halcyon::storage
