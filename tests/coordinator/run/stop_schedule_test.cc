#include "coordinator/run/stop_schedule.h"

#include <gtest/gtest.h>

#include "tests/coordinator/whole_graph.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kEndMs = 1'000'000;

class StopScheduleTest : public ::testing::Test {
 protected:
  StopScheduleTest() : status_(NewJobStatus("j", "j", WholeGraph())) {
    StageStatus& model = status_.Stage(jobs::StageKind::kModel);
    model.state = jobs::StageState::kRunning;
    model.steps = 100;
    model.figures = {{"step_seconds", 3.0}, {"save_seconds", 20.0}};
  }
  int At(StopSchedule& schedule, int64_t wall_ms, int asked = 0, int64_t end_ms = kEndMs) {
    return schedule.Requests({asked, end_ms, wall_ms, wall_ms + 7}, status_);
  }
  JobStatus status_;
};

TEST_F(StopScheduleTest, TheEndOfTheAllocationLeavesTimeForAStepAndSaving) {
  StopSchedule schedule(0, 60'000, 0);
  // 60 + 2 * (3 + 20) s.
  EXPECT_EQ(schedule.LeadMs(status_), 106'000);
  EXPECT_EQ(At(schedule, kEndMs - 106'001), 0);
  EXPECT_FALSE(schedule.time_is_up());
  EXPECT_EQ(At(schedule, kEndMs - 106'000), 1);
  EXPECT_TRUE(schedule.time_is_up());
  EXPECT_EQ(At(schedule, kEndMs - 200'000, 0, 2 * kEndMs), 1) << "a request is not taken back";
}

TEST_F(StopScheduleTest, WhatEarlierRunsNeededToSaveCounts) {
  status_.Stage(jobs::StageKind::kModel).figures = {{"step_seconds", 3.0}};
  StopSchedule schedule(0, 60'000, SaveMsOf(status_) + 50'000);
  EXPECT_EQ(schedule.LeadMs(status_), 166'000);
}

TEST_F(StopScheduleTest, TasksAreNotWaitedFor) {
  status_.Stage(jobs::StageKind::kModel).state = jobs::StageState::kWaiting;
  status_.Stage(jobs::StageKind::kTokens).state = jobs::StageState::kRunning;
  StopSchedule schedule(0, 60'000, 0);
  EXPECT_EQ(schedule.LeadMs(status_), 60'000);
}

TEST_F(StopScheduleTest, WithoutAnEndOnlyRequestsCount) {
  StopSchedule schedule(0, 60'000, 0);
  EXPECT_EQ(At(schedule, int64_t{1} << 60, 0, /*end_ms=*/0), 0);
  EXPECT_EQ(At(schedule, int64_t{1} << 60, 1, /*end_ms=*/0), 1);
  EXPECT_FALSE(schedule.time_is_up());
}

TEST_F(StopScheduleTest, AfterTheGraceItEndsAtOnce) {
  StopSchedule schedule(30'000, 0, 0);
  EXPECT_EQ(At(schedule, 5'000, 1, 0), 1);
  EXPECT_EQ(At(schedule, 34'999, 1, 0), 1);
  EXPECT_EQ(At(schedule, 35'000, 1, 0), 2);
  StopSchedule patient(0, 0, 0);
  EXPECT_EQ(At(patient, 5'000, 1, 0), 1);
  EXPECT_EQ(At(patient, 1'000'000'000, 1, 0), 1);
}

TEST_F(StopScheduleTest, FiguresThatAreNoTimesCountForNothing) {
  status_.Stage(jobs::StageKind::kModel).figures = {{"step_seconds", "x"}, {"save_seconds", -4}};
  StopSchedule schedule(0, 60'000, 0);
  EXPECT_EQ(schedule.LeadMs(status_), 60'000);
}

}  // namespace
}  // namespace halcyon::coordinator
