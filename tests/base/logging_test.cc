#include "base/logging.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "base/clock.h"
#include "base/env.h"
#include "tests/testing/temp_dir.h"

namespace halcyon {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

constexpr int64_t kPatienceMs = 20'000;

class LoggingTest : public ::testing::Test {
 protected:
  ~LoggingTest() override {
    unsetenv("HALCYON_LOG");
    LogToStderr("test");
  }
  std::string Logged() {
    EXPECT_TRUE(FlushLog(kPatienceMs));
    return Env::Posix()->ReadFile(path_).value();
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.Path("log");
};

TEST_F(LoggingTest, ALineTellsTimeLevelAndProcess) {
  ASSERT_TRUE(LogToFile("model-rank-1", path_).ok());
  spdlog::info("step {}", 3);
  EXPECT_THAT(Logged(), MatchesRegex("[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9]+.[0-9]+Z info "
                                     "model-rank-1: step 3\n"));
}

TEST_F(LoggingTest, FieldsStandBeforeTheMessageInTheOrderOfTheirNames) {
  ASSERT_TRUE(LogToFile("p", path_).ok());
  SetLogField("step", "12");
  SetLogField("job", "quick-3f2a/1.0_b");
  spdlog::info("one");
  {
    const ScopedLogField stage("stage", "a b: c=d\n");
    const ScopedLogField step("step", "13");
    spdlog::info("two");
    std::thread([] { spdlog::info("three"); }).join();
  }
  SetLogField("job", "");
  spdlog::info("four");
  SetLogField("step", "");
  spdlog::info("five");
  const std::string log = Logged();
  EXPECT_THAT(log, HasSubstr("Z info p job=quick-3f2a/1.0_b step=12: one\n"));
  EXPECT_THAT(log, HasSubstr("Z info p job=quick-3f2a/1.0_b stage=a_b__c_d_ step=13: two\n"));
  EXPECT_THAT(log, HasSubstr("Z info p job=quick-3f2a/1.0_b step=12: three\n"));
  EXPECT_THAT(log, HasSubstr("Z info p step=12: four\n"));
  EXPECT_THAT(log, HasSubstr("Z info p: five\n"));
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
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(status), HasSubstr(dir_.path()));
}

// A pipe without a reader, in place of a disk on which writes block.
TEST_F(LoggingTest, LoggingNeverWaitsForTheFile) {
  const std::string pipe = dir_.Path("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  ASSERT_TRUE(LogToFile("p", pipe).ok());
  const std::string kilobyte(1024, 'x');
  for (int line = 0; line < 20'000; ++line) spdlog::info("{}", kilobyte);
  EXPECT_FALSE(FlushLog(0));
  std::string all;
  const auto read_some = [&] {
    std::string buffer(1 << 20, '\0');
    const ssize_t count = read(reader, buffer.data(), buffer.size());
    if (count > 0) all.append(buffer, 0, static_cast<size_t>(count));
    return FlushLog(0);
  };
  EXPECT_TRUE(Clock::Real()->WaitFor(read_some, kPatienceMs, /*poll_ms=*/1));
  read_some();
  EXPECT_THAT(all, HasSubstr("lines dropped: the disk is slow\n"));
  close(reader);
}

}  // namespace
}  // namespace halcyon
