// The page in a real browser: what its scripts make of a state folder. Skipped, and counted as
// such, where there is no Chromium.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/clock.h"
#include "cluster/process.h"
#include "coordinator/page/page_server.h"
#include "tests/coordinator/page/home_fixture.h"

namespace halcyon::coordinator {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kBrowserMsMax = 90'000;

class BrowserTest : public ::testing::Test {
 protected:
  BrowserTest() {
    const int64_t now_ms = Clock::Real()->WallMs();
    JobStatus running = HomeFixture::Running(now_ms);
    EXPECT_TRUE(fixture_.Write(running).ok());
    EXPECT_TRUE(fixture_.Write(HomeFixture::Failed(now_ms)).ok());
    EXPECT_TRUE(fixture_
                    .AppendMetrics(running.Stage(jobs::StageKind::kModel),
                                   HomeFixture::MetricsLines(1, 420))
                    .ok());
    server_ = *PageServer::Start(*ParseListenAddress("127.0.0.1:0"), &view_);
  }

  // The elements of the page once its scripts have run; nullopt without a browser.
  std::optional<std::string> Elements(const std::string& fragment) {
    const std::string output = scratch_.Path("dom");
    auto browser = cluster::ChildProcess::Spawn(
        {.argv = {"chromium", "--headless", "--no-sandbox", "--disable-gpu",
                  "--disable-dev-shm-usage", "--no-first-run",
                  "--user-data-dir=" + scratch_.Path("profile"), "--virtual-time-budget=6000",
                  "--dump-dom", server_->address().Url() + fragment},
         .env = {},
         .output_path = output});
    if (absl::IsNotFound(browser.status())) return std::nullopt;
    EXPECT_TRUE(browser.ok()) << browser.status();
    std::optional<cluster::ExitStatus> end;
    Clock::Real()->WaitFor([&] { return (end = (*browser)->Poll()).has_value(); }, kBrowserMsMax);
    EXPECT_TRUE(end && end->ok());
    return *Env::Posix()->ReadFile(output);
  }

  HomeFixture fixture_;
  testing::TempDir scratch_;
  HomeView view_{*Env::Posix(), *Clock::Real(), fixture_.home(), fixture_.Lister()};
  std::unique_ptr<PageServer> server_;
};

TEST_F(BrowserTest, ShowsARunningJob) {
  const auto page = Elements("");
  if (!page) GTEST_SKIP() << "no chromium on this machine";
  EXPECT_THAT(*page, HasSubstr("<h2>quick</h2>"));
  EXPECT_THAT(*page, HasSubstr("<title>quick: running</title>"));
  EXPECT_THAT(*page, HasSubstr("role=\"status\" class=\"\">live<"));
  EXPECT_THAT(*page, HasSubstr("aria-label=\"Graph of the stages\""));
  EXPECT_THAT(*page, HasSubstr("aria-label=\"Loss: model\""));
  EXPECT_THAT(*page, HasSubstr("at step 420"));
  EXPECT_THAT(*page, HasSubstr("420 / 1000"));
  EXPECT_THAT(*page, HasSubstr("waits for model"));
}

TEST_F(BrowserTest, ShowsAFailedJobAndTakesItsNameForText) {
  const auto page = Elements("#bad-00000000");
  if (!page) GTEST_SKIP() << "no chromium on this machine";
  EXPECT_THAT(*page, HasSubstr("<h2>&lt;img src=x onerror=alert(1)&gt;"));
  EXPECT_THAT(*page, HasSubstr("tokens/3: line 7 is no text &lt;img"));
  EXPECT_THAT(*page, Not(HasSubstr("<img")));
}

}  // namespace
}  // namespace halcyon::coordinator
