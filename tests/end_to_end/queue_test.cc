// The queue of a machine with the real programs: jobs one after the other, and a queue that dies
// without harm to what it has started; a job in the background.
#include <signal.h>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/env.h"
#include "tests/end_to_end/small_job.h"

namespace halcyon {
namespace {

constexpr int64_t kPatienceMs = 120'000;

// The same job file under another name and seed, so that the model is another one too.
std::string SecondJob(SmallJob& job) {
  const std::string path = job.root() + "/second.toml";
  std::string toml = *Env::Posix()->ReadFile(job.job_file());
  const std::string name = "name = \"small\"";
  toml.replace(toml.find(name), name.size(), "name = \"second\"");
  EXPECT_TRUE(WriteFileAtomically(*Env::Posix(), path, toml).ok());
  return path;
}

std::string StateOf(SmallJob& job, const std::string& name) {
  const RunResult status = job.Halcyon({"status", name, "--json"});
  const auto json = nlohmann::json::parse(status.output, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json.value("state", "") : "";
}

const std::vector<std::string> kQueue = {"coordinator", "--slots", "2", "--until-idle"};

TEST(QueueTest, JobsGoOnWhenTheQueueDiesAndTheNextOneTakesThemUp) {
  SmallJob whole("queue-whole");
  ASSERT_TRUE(whole.Run().status.ok());

  SmallJob job("queue");
  const std::string second = SecondJob(job);
  for (const std::string& file : {job.job_file(), second}) {
    const RunResult submitted = job.Halcyon({"submit", file, "--launcher", "local"});
    ASSERT_TRUE(submitted.status.ok()) << submitted.output;
  }
  const RunResult again = job.Halcyon({"submit", second, "--launcher", "local"});
  EXPECT_EQ(again.status.code, 3) << again.output;

  const auto queue = job.StartHalcyon(kQueue);
  ASSERT_TRUE(
      Clock::Real()->WaitFor([&] { return StateOf(job, "small") == "running"; }, kPatienceMs, 100));
  EXPECT_EQ(StateOf(job, "second"), "queued") << "two slots hold one job of two ranks";
  queue->Signal(SIGKILL);
  ASSERT_TRUE(Clock::Real()->WaitFor([&] { return queue->Poll().has_value(); }, kPatienceMs));
  const RunResult first_ended = job.Halcyon({"wait", "small"});
  EXPECT_TRUE(first_ended.status.ok()) << first_ended.output;
  EXPECT_EQ(StateOf(job, "second"), "queued") << "no queue is there to start it";

  const auto next = job.StartHalcyon(kQueue);
  const RunResult second_ended = job.Halcyon({"wait", "second"});
  EXPECT_TRUE(second_ended.status.ok()) << second_ended.output;
  ASSERT_TRUE(Clock::Real()->WaitFor([&] { return next->Poll().has_value(); }, kPatienceMs));
  EXPECT_TRUE(next->Poll()->ok());
  EXPECT_EQ(job.WeightsOf("model"), whole.WeightsOf("model"));
}

TEST(BackgroundTest, AJobGoesOnAfterTheCommandThatStartedItHasEnded) {
  SmallJob job("background");
  const RunResult started = job.Halcyon({"run", "-d", job.job_file()});
  ASSERT_TRUE(started.status.ok()) << started.output;
  EXPECT_NE(started.output.find("small-"), std::string::npos) << started.output;
  const RunResult ended = job.Halcyon({"wait", "small"});
  EXPECT_TRUE(ended.status.ok()) << ended.output;
  EXPECT_EQ(StateOf(job, "small"), "done");
  const RunResult logs = job.Halcyon({"logs", "small"});
  EXPECT_NE(logs.output.find("run: warning: BrierLM"), std::string::npos) << logs.output;
}

}  // namespace
}  // namespace halcyon
