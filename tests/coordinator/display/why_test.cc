#include "coordinator/display/why.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/exit_code.h"

namespace halcyon::coordinator {
namespace {

using jobs::JobState;
using jobs::StageState;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kNowMs = 1'769'860'800'000;  // 2026-01-31 12:00:00 UTC

// A job whose model is being trained by three ranks on two machines.
JobStatus Training() {
  JobStatus status;
  status.job_id = "t-1";
  status.state = JobState::kRunning;
  status.started_ms = kNowMs - 900'000;
  status.updated_ms = kNowMs - 500;
  status.pid = 77;
  StageStatus tokens;
  tokens.label = "tokens";
  tokens.state = StageState::kDone;
  StageStatus model;
  model.label = "model";
  model.state = StageState::kRunning;
  model.started_ms = kNowMs - 600'000;
  model.step = 120;
  model.steps = 1000;
  status.stages = {tokens, model};
  for (int64_t rank = 0; rank < 3; ++rank) {
    status.workers.push_back({.worker = "model-rank-" + std::to_string(rank),
                              .rank = rank,
                              .host = rank < 2 ? "a" : "b",
                              .step = 120,
                              .phase = "forward block.3",
                              .since_ms = kNowMs - 700,
                              .verdict = "running"});
  }
  return status;
}

void Judge(JobStatus* status, size_t rank, const std::string& verdict, int64_t age_ms) {
  status->workers.at(rank).verdict = verdict;
  status->workers.at(rank).since_ms = kNowMs - age_ms;
  for (size_t other = 0; other < status->workers.size(); ++other) {
    if (other == rank) continue;
    status->workers[other].verdict = "waiting";
    status->workers[other].waits_for = "rank " + std::to_string(rank);
    status->workers[other].since_ms = kNowMs - age_ms - 1000;
  }
}

void End(JobStatus* status, JobState state, ExitCode code, const std::string& error) {
  status->state = state;
  status->exit_code = static_cast<int>(code);
  status->error = error;
  status->updated_ms = kNowMs - 3'600'000;
}

struct Case {
  const char* name;
  std::function<void(JobStatus*)> change;
  const char* state;
  int64_t since_ms_ago;
  const char* cause;
  const char* advice;  // "" : none at all
};

const Case kCases[] = {
    {"normal", [](JobStatus*) {}, "running", 600'000,
     "nothing is wrong: model is being made, step 120 of 1000", ""},
    {"a long phase", [](JobStatus* s) { Judge(s, 1, "running", 45'000); }, "running", 600'000,
     "rank 1 on a is in step 120: forward block.3 for 45s; 2 ranks wait for it", ""},
    {"restarted",
     [](JobStatus* s) {
       s->stages[1].restarts = 2;
       s->stages[1].restart_why = "rank 1: lost\nlines of a log";
     },
     "running", 600'000, "launched again 2 times in this run, last because: rank 1: lost", ""},
    {"started for the first time", [](JobStatus* s) { s->workers.clear(); }, "starting", 600'000,
     "no process works on model at present, step 120 of 1000: they are being started", "logs"},
    {"between a failure and the next launch",
     [](JobStatus* s) {
       s->workers.clear();
       s->stages[1].restarts = 1;
       s->stages[1].restart_why = "rank 1 was killed";
       s->stages[1].restarted_ms = kNowMs - 2000;
     },
     "starting", 2000, "launched again once in this run, last because: rank 1 was killed", "logs"},
    {"a cache that is being published",
     [](JobStatus* s) {
       s->workers.clear();
       s->stages[1].tasks = s->stages[1].tasks_done = 7;
     },
     "running", 600'000, "all tasks are done; what they made is being published", ""},
    {"stuck", [](JobStatus* s) { Judge(s, 2, "stuck", 320'000); }, "stuck", 320'000,
     "rank 2 on b answers, but its work stands still, in step 120: forward block.3; 2 ranks wait "
     "for "
     "it",
     "launch.hang_floor_s"},
    {"stopped", [](JobStatus* s) { Judge(s, 0, "stopped", 4000); }, "stuck", 4000,
     "rank 0 on a exists, but its process is stopped (SIGSTOP", "kill -CONT"},
    {"cut off", [](JobStatus* s) { Judge(s, 2, "cut off", 4000); }, "stuck", 4000,
     "rank 2 on b sends nothing, and neither does any other rank of its machine", "network"},
    {"silent", [](JobStatus* s) { Judge(s, 2, "silent", 4000); }, "stuck", 4000,
     "rank 2 on b sends nothing", "out of memory"},
    {"slow", [](JobStatus* s) { Judge(s, 1, "slow", 300); }, "slow", 300,
     "rank 1 on a computes much longer", "throttled"},
    {"an agent",
     [](JobStatus* s) {
       s->workers = {{.worker = "agent-3",
                      .host = "a",
                      .phase = "tokens/7",
                      .since_ms = kNowMs - 400'000,
                      .verdict = "stuck"}};
     },
     "stuck", 400'000, "agent-3 on a answers, but its work stands still, in tokens/7",
     "machine out"},
    {"another job's stage",
     [](JobStatus* s) {
       s->workers.clear();
       s->stages[1].state = StageState::kWaiting;
       s->stages[1].note = "made by job big-2";
     },
     "waiting", 900'000, "it waits for model, made by job big-2", "nothing: it takes"},
    {"a coordinator that does not say",
     [](JobStatus* s) { s->updated_ms = kNowMs - kStatusAgeMsMax - 1; }, "unknown",
     kStatusAgeMsMax + 1, "its coordinator (process 77) lives, but has not written", "disk"},
    {"done", [](JobStatus* s) { End(s, JobState::kDone, ExitCode::kDone, ""); }, "done", 3'600'000,
     "it is finished", ""},
    {"partial",
     [](JobStatus* s) {
       End(s, JobState::kPartial, ExitCode::kDone, "");
       s->until = "tokens";
       s->stages[1].state = StageState::kWaiting;
     },
     "partial", 3'600'000, "it is made until tokens; model is left", "without --until"},
    {"interrupted", [](JobStatus* s) { End(s, JobState::kInterrupted, ExitCode::kPreempted, ""); },
     "interrupted", 3'600'000, "its coordinator (process 77) ended without a word",
     "run the same command again"},
    {"preempted",
     [](JobStatus* s) { End(s, JobState::kPreempted, ExitCode::kPreempted, "saved step 120"); },
     "preempted", 3'600'000, "it was told to stop: saved step 120", "run the same command again"},
    {"cancelled",
     [](JobStatus* s) { End(s, JobState::kCancelled, ExitCode::kCancelled, "cancelled: saved"); },
     "cancelled", 3'600'000, "cancelled: saved", "halcyon resume"},
    {"disk full",
     [](JobStatus* s) { End(s, JobState::kFailed, ExitCode::kDiskFull, "a: No space left"); },
     "failed", 3'600'000, "a: No space left", "free space"},
    {"bad input",
     [](JobStatus* s) { End(s, JobState::kFailed, ExitCode::kBadInput, "x.jsonl:3: no text"); },
     "failed", 3'600'000, "x.jsonl:3: no text", "trying again alone changes nothing"},
    {"out of memory, as it says",
     [](JobStatus* s) {
       End(s, JobState::kFailed, ExitCode::kJobFailed,
           "model: rank 1: std::bad_alloc; the process ran out of memory (lower ...)");
     },
     "failed", 3'600'000, "std::bad_alloc", "lower the stage's micro_batch"},
    {"killed by the kernel",
     [](JobStatus* s) {
       End(s, JobState::kFailed, ExitCode::kJobFailed,
           "agent-0 ended with killed by signal 9 (Killed); the kernel does this when the machine "
           "runs out of memory (lower ...)");
     },
     "failed", 3'600'000, "signal 9", "dmesg"},
    {"killed from outside",
     [](JobStatus* s) {
       End(s, JobState::kFailed, ExitCode::kJobFailed,
           "agent-0 ended with killed by signal 9 (Killed); the kernel has killed none of this "
           "machine for want of memory meanwhile, so a person or a program did, or it was on "
           "another "
           "machine");
     },
     "failed", 3'600'000, "signal 9", "who sent SIGKILL"},
    {"hung too often",
     [](JobStatus* s) {
       End(s, JobState::kFailed, ExitCode::kJobFailed,
           "model: failed 4 times without a checkpoint between, last: rank 1 on b is stuck in step "
           "7: loading");
     },
     "failed", 3'600'000, "failed 4 times", "launch.hang_floor_s"},
    {"anything else",
     [](JobStatus* s) { End(s, JobState::kFailed, ExitCode::kJobFailed, "model: odd"); }, "failed",
     3'600'000, "model: odd", "halcyon logs t-1"},
};

TEST(Why, EachStateHasItsCauseAndAdvice) {
  for (const Case& one : kCases) {
    SCOPED_TRACE(one.name);
    JobStatus status = Training();
    one.change(&status);
    const Why why = ExplainJob(status, kNowMs);
    EXPECT_EQ(why.state, one.state);
    EXPECT_EQ(why.since_ms, kNowMs - one.since_ms_ago);
    EXPECT_THAT(why.cause, HasSubstr(one.cause));
    if (*one.advice == '\0') {
      EXPECT_THAT(why.advice, IsEmpty());
    } else {
      EXPECT_THAT(why.advice, HasSubstr(one.advice));
    }
  }
}

TEST(Why, OfACoordinatorOnAnotherMachineItIsNotSaidThatItLives) {
  JobStatus status = Training();
  status.updated_ms = kNowMs - kStatusAgeMsMax - 1;
  const Why why = ExplainJob(status, kNowMs, {.other_host = "n2"});
  EXPECT_THAT(why.cause, HasSubstr("its coordinator (process 77 on n2) has not written its state"));
  EXPECT_THAT(why.advice, HasSubstr("whether n2 is up"));
}

TEST(Why, TheCulpritComesFirst) {
  JobStatus status = Training();
  Judge(&status, 2, "stuck", 320'000);
  const nlohmann::json json = ToJson(ExplainJob(status, kNowMs), "t-1");
  EXPECT_EQ(json.at("state"), "stuck");
  EXPECT_EQ(json.at("since"), "2026-01-31T11:54:40Z");
  ASSERT_EQ(json.at("ranks").size(), 3u);
  const nlohmann::json first = {{"worker", "model-rank-2"},
                                {"rank", 2},
                                {"host", "b"},
                                {"step", 120},
                                {"phase", "forward block.3"},
                                {"waits_for", ""},
                                {"since", "2026-01-31T11:54:40Z"},
                                {"verdict", "stuck"}};
  EXPECT_EQ(json["ranks"][0], first);
  EXPECT_EQ(json["ranks"][1]["waits_for"], "rank 2");
}

TEST(Why, TheTextNamesTheCauseWhatToDoAndEachRank) {
  JobStatus status = Training();
  Judge(&status, 2, "stuck", 320'000);
  const std::string text = WhyText(ExplainJob(status, kNowMs), "t-1", kNowMs);
  EXPECT_THAT(text, HasSubstr("t-1: stuck for "));
  EXPECT_THAT(text, HasSubstr("\n  what to do: it is killed"));
  EXPECT_THAT(text, HasSubstr("forward block.3, waits for rank 2\n"));
}

}  // namespace
}  // namespace halcyon::coordinator
