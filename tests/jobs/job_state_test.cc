#include "jobs/job_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace halcyon::jobs {
namespace {

const std::vector<JobState> kAllJobStates = {
    JobState::kQueued, JobState::kRunning,   JobState::kDone,        JobState::kPartial,
    JobState::kFailed, JobState::kPreempted, JobState::kInterrupted, JobState::kCancelled};
const std::vector<StageState> kAllStageStates = {StageState::kWaiting, StageState::kRunning,
                                                 StageState::kReused,  StageState::kDone,
                                                 StageState::kFailed,  StageState::kInterrupted};

TEST(JobState, MovesAreThoseOfTheHeaderAndNoOthers) {
  const std::set<std::pair<std::string, std::string>> legal = {
      {"queued", "running"},      {"running", "done"},        {"running", "failed"},
      {"running", "preempted"},   {"preempted", "running"},   {"failed", "running"},
      {"running", "interrupted"}, {"interrupted", "running"}, {"queued", "cancelled"},
      {"running", "cancelled"},   {"cancelled", "running"},   {"running", "partial"},
      {"partial", "running"}};
  for (const JobState from : kAllJobStates) {
    for (const JobState to : kAllJobStates) {
      const std::pair<std::string, std::string> move(NameOf(from), NameOf(to));
      EXPECT_EQ(CanMove(from, to), legal.contains(move)) << move.first << " -> " << move.second;
    }
  }
}

TEST(StageState, MovesAreThoseOfTheHeaderAndNoOthers) {
  const std::set<std::pair<std::string, std::string>> legal = {
      {"waiting", "running"},    {"waiting", "reused"}, {"running", "done"},
      {"running", "failed"},     {"failed", "running"}, {"running", "interrupted"},
      {"interrupted", "running"}};
  for (const StageState from : kAllStageStates) {
    for (const StageState to : kAllStageStates) {
      const std::pair<std::string, std::string> move(NameOf(from), NameOf(to));
      EXPECT_EQ(CanMove(from, to), legal.contains(move)) << move.first << " -> " << move.second;
    }
  }
}

TEST(JobState, NamesAreTheirsAndReadBack) {
  const std::vector<std::string> names = {"queued", "running",   "done",        "partial",
                                          "failed", "preempted", "interrupted", "cancelled"};
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(NameOf(kAllJobStates[i]), names[i]);
    EXPECT_EQ(*JobStateFromName(names[i]), kAllJobStates[i]);
  }
}

TEST(StageState, NamesAreTheirsAndReadBack) {
  const std::vector<std::string> names = {"waiting", "running", "reused",
                                          "done",    "failed",  "interrupted"};
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(NameOf(kAllStageStates[i]), names[i]);
    EXPECT_EQ(*StageStateFromName(names[i]), kAllStageStates[i]);
  }
}

TEST(JobState, AnUnknownNameIsRefusedWithTheKnownOnes) {
  EXPECT_EQ(
      MessageOf(JobStateFromName("Done").status()),
      "unknown job state \"Done\"; it is one of queued, running, done, partial, failed, preempted, "
      "interrupted, cancelled");
  EXPECT_EQ(
      MessageOf(StageStateFromName("").status()),
      "unknown stage state \"\"; it is one of waiting, running, reused, done, failed, interrupted");
  EXPECT_EQ(JobStateFromName("x").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace halcyon::jobs
