#include "base/logging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "base/env.h"
#include "tests/testing/temp_dir.h"

namespace halcyon {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

class LoggingTest : public ::testing::Test {
 protected:
  ~LoggingTest() override {
    unsetenv("HALCYON_LOG");
    LogToStderr("test");
  }
  std::string Logged() { return Env::Posix()->ReadFile(path_).value(); }

  testing::TempDir dir_;
  const std::string path_ = dir_.Path("log");
};

TEST_F(LoggingTest, ALineTellsTimeLevelAndProcess) {
  ASSERT_TRUE(LogToFile("model-rank-1", path_).ok());
  spdlog::info("step {}", 3);
  EXPECT_THAT(Logged(), MatchesRegex("[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9]+.[0-9]+Z info "
                                     "model-rank-1: step 3\n"));
}

TEST_F(LoggingTest, AppendsAndHonoursTheLevel) {
  ASSERT_TRUE(LogToFile("first", path_).ok());
  spdlog::debug("hidden");
  spdlog::warn("one");
  setenv("HALCYON_LOG", "error", /*overwrite=*/1);
  ASSERT_TRUE(LogToFile("second", path_).ok());
  spdlog::warn("hidden");
  spdlog::error("two");
  EXPECT_THAT(Logged(), HasSubstr("first: one\n"));
  EXPECT_THAT(Logged(), HasSubstr("second: two\n"));
  EXPECT_THAT(Logged(), Not(HasSubstr("hidden")));
}

TEST_F(LoggingTest, AFileThatCannotBeOpenedIsAnErrorThatNamesIt) {
  const absl::Status status = LogToFile("p", dir_.path());
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(MessageOf(status), HasSubstr(dir_.path()));
}

}  // namespace
}  // namespace halcyon
