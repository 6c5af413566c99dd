#include "base/open_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cerrno>

#include "base/status.h"

namespace halcyon {
namespace {

class OpenFilesTest : public ::testing::Test {
 protected:
  OpenFilesTest() { getrlimit(RLIMIT_NOFILE, &before_); }
  ~OpenFilesTest() override { setrlimit(RLIMIT_NOFILE, &before_); }
  void SetSoft(rlim_t soft) {
    const rlimit limit = {soft, before_.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  rlimit before_;
};

TEST_F(OpenFilesTest, TheSoftLimitIsRaised) {
  SetSoft(256);
  RaiseOpenFilesLimit();
  EXPECT_EQ(OpenFilesLimit(), std::min<rlim_t>(before_.rlim_max, 65536));
}

TEST_F(OpenFilesTest, ALimitThatIsHigherStays) {
  if (before_.rlim_max <= 70000) return;  // nothing is above what is asked for
  SetSoft(70000);
  RaiseOpenFilesLimit();
  EXPECT_EQ(OpenFilesLimit(), 70000u);
}

TEST_F(OpenFilesTest, ErrorsSayTheLimit) {
  SetSoft(300);
  EXPECT_THAT(MessageOf(ErrnoStatus(EMFILE, "cannot open x")),
              ::testing::HasSubstr("at most 300 files may be open in this process"));
}

}  // namespace
}  // namespace halcyon
