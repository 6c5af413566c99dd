#include "coordinator/run/scheduler.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>

#include "base/philox.h"

namespace halcyon::coordinator {
namespace {

const WorkerId kAnna{"agent-0", 1}, kBert{"agent-1", 1};
constexpr int64_t kFailuresMax = 2;
const Fence kNone(0);

const jobs::NodeId kStage(3), kOther(5);

StageTasks Named(const std::vector<std::string>& names) {
  StageTasks tasks;
  for (const std::string& name : names) tasks.Add(name, {});
  return tasks;
}

Scheduler WithTasks(const std::vector<std::string>& tasks) {
  Scheduler scheduler(kFailuresMax);
  scheduler.Add(kStage, Named(tasks));
  return scheduler;
}

// A result that is committed at once.
void Finish(Scheduler& scheduler, Fence fence) {
  scheduler.Take(fence);
  scheduler.Done(fence);
}

TEST(SchedulerTest, NoTasksIsDone) {
  Scheduler scheduler = WithTasks({});
  EXPECT_TRUE(scheduler.CountsOf(kStage).all_done());
  EXPECT_EQ(scheduler.CountsOf(kStage).fraction, 1);
  scheduler.Ready(kAnna, kNone);
  EXPECT_FALSE(scheduler.CanGrant());
}

TEST(SchedulerTest, HandsOutInOrderToTheLongestReady) {
  Scheduler scheduler = WithTasks({"b", "a", "c"});
  EXPECT_FALSE(scheduler.CanGrant());
  scheduler.Ready(kBert, kNone);
  scheduler.Ready(kAnna, kNone);
  scheduler.Ready(kBert, kNone);  // again: still one place in the queue
  const Grant first = scheduler.GrantNext(Fence(1));
  EXPECT_EQ(first.stage, kStage);
  EXPECT_EQ(first.task, 0u);
  EXPECT_EQ(first.name, "b");
  EXPECT_EQ(first.worker, kBert);
  const Grant second = scheduler.GrantNext(Fence(5));
  EXPECT_EQ(second.name, "a");
  EXPECT_EQ(second.worker, kAnna);
  EXPECT_FALSE(scheduler.CanGrant()) << "c waits, but nobody is ready";
  EXPECT_EQ(scheduler.TaskOf(kAnna), "a");
}

TEST(SchedulerTest, OnlyThePresentLeaseIsFound) {
  Scheduler scheduler = WithTasks({"a"});
  scheduler.Ready(kAnna, kNone);
  scheduler.GrantNext(Fence(1));
  ASSERT_TRUE(scheduler.Find("a", Fence(1), kAnna));
  EXPECT_EQ(scheduler.Find("a", Fence(1), kAnna)->stage, kStage);
  EXPECT_FALSE(scheduler.Find("a", Fence(1), kBert));
  EXPECT_FALSE(scheduler.Find("b", Fence(1), kAnna));
  scheduler.Lost(kAnna);
  EXPECT_FALSE(scheduler.Find("a", Fence(1), kAnna)) << "nobody holds it";
  scheduler.Ready(kBert, kNone);
  scheduler.GrantNext(Fence(2));
  EXPECT_FALSE(scheduler.Find("a", Fence(1), kAnna)) << "late";
  EXPECT_TRUE(scheduler.Find("a", Fence(2), kBert));
  scheduler.Take(Fence(2));
  EXPECT_FALSE(scheduler.Find("a", Fence(2), kBert)) << "taken once";
  scheduler.Done(Fence(2));
  EXPECT_FALSE(scheduler.Find("a", Fence(2), kBert)) << "done stays done";
  EXPECT_TRUE(scheduler.CountsOf(kStage).all_done());
}

TEST(SchedulerTest, ATakenTaskIsNotItsWorkersAnyMore) {
  Scheduler scheduler = WithTasks({"a"});
  scheduler.Ready(kAnna, kNone);
  scheduler.GrantNext(Fence(1));
  scheduler.Take(Fence(1));
  EXPECT_EQ(scheduler.TaskOf(kAnna), std::nullopt);
  scheduler.Ready(kAnna, Fence(1));
  scheduler.Lost(kAnna);
  EXPECT_FALSE(scheduler.CanGrant());
  EXPECT_EQ(scheduler.CountsOf(kStage).taken, 1u);
  EXPECT_EQ(scheduler.CountsOf(kStage).fraction, 1);
  EXPECT_FALSE(scheduler.CountsOf(kStage).all_done());
  scheduler.Failed(Fence(1), DataLoss("bytes differ"));
  EXPECT_EQ(scheduler.CountsOf(kStage).taken, 0u);
  scheduler.Ready(kBert, kNone);
  EXPECT_EQ(scheduler.GrantNext(Fence(2)).name, "a");
  scheduler.Done(Fence(1));  // a late answer of the first commit
  EXPECT_EQ(scheduler.CountsOf(kStage).done, 0u);
}

TEST(SchedulerTest, ALostTaskComesBackInItsPlace) {
  Scheduler scheduler = WithTasks({"a", "b", "c"});
  scheduler.Ready(kAnna, kNone);
  scheduler.GrantNext(Fence(1));
  scheduler.Lost(kAnna);
  scheduler.Ready(kBert, kNone);
  EXPECT_EQ(scheduler.GrantNext(Fence(2)).name, "a");
}

TEST(SchedulerTest, ReadyAfterALeaseWithoutAResultGivesItBack) {
  Scheduler scheduler = WithTasks({"a"});
  scheduler.Ready(kAnna, kNone);
  scheduler.GrantNext(Fence(1));
  scheduler.Ready(kAnna, Fence(1));
  EXPECT_FALSE(scheduler.Find("a", Fence(1), kAnna));
  ASSERT_TRUE(scheduler.CanGrant());
  EXPECT_EQ(scheduler.GrantNext(Fence(2)).worker, kAnna);
  EXPECT_FALSE(scheduler.Find("a", Fence(1), kAnna)) << "the same worker, an older lease";
  EXPECT_TRUE(scheduler.Find("a", Fence(2), kAnna));
}

TEST(SchedulerTest, AReadyOfBeforeTheLastLeaseIsIgnored) {
  Scheduler scheduler = WithTasks({"a", "b", "c"});
  scheduler.Ready(kAnna, kNone);
  scheduler.GrantNext(Fence(3));
  scheduler.Ready(kAnna, kNone);  // came twice, or late
  EXPECT_TRUE(scheduler.Find("a", Fence(3), kAnna));
  EXPECT_FALSE(scheduler.CanGrant());
  Finish(scheduler, Fence(3));
  scheduler.Ready(kAnna, kNone);
  EXPECT_FALSE(scheduler.CanGrant());
  scheduler.Ready(kAnna, Fence(3));
  scheduler.GrantNext(Fence(4));
  scheduler.Ready(kAnna, Fence(3));
  EXPECT_FALSE(scheduler.CanGrant()) << "a second lease for one that has one";
  EXPECT_TRUE(scheduler.Find("b", Fence(4), kAnna));
}

TEST(SchedulerTest, AWorkerOfAnEarlierCoordinatorIsReadyWithItsOwnLastLease) {
  Scheduler scheduler = WithTasks({"a"});
  scheduler.Ready(kAnna, Fence(17));
  EXPECT_EQ(scheduler.GrantNext(Fence(20)).worker, kAnna);
}

Grant EarlierLease(size_t task, const std::string& name, const WorkerId& worker, uint64_t fence) {
  return {kStage, task, name, worker, Fence(fence)};
}

TEST(SchedulerTest, AnAdoptedTaskIsGrantedToNobodyElse) {
  Scheduler scheduler = WithTasks({"a", "b", "c"});
  EXPECT_TRUE(scheduler.Adopt(EarlierLease(1, "b", kAnna, 17)));
  EXPECT_EQ(scheduler.TaskOf(kAnna), "b");
  for (const char* name : {"a", "c"}) {
    scheduler.Ready(kBert, Fence(20));
    ASSERT_TRUE(scheduler.CanGrant());
    EXPECT_EQ(scheduler.GrantNext(Fence(20)).name, name);
    Finish(scheduler, Fence(20));
  }
  scheduler.Ready(kBert, Fence(20));
  EXPECT_FALSE(scheduler.CanGrant());
  EXPECT_FALSE(scheduler.CountsOf(kStage).all_done());
  ASSERT_TRUE(scheduler.Find("b", Fence(17), kAnna));
  Finish(scheduler, Fence(17));
  EXPECT_TRUE(scheduler.CountsOf(kStage).all_done());
  scheduler.Ready(kAnna, Fence(17));
  EXPECT_FALSE(scheduler.CanGrant());
}

TEST(SchedulerTest, AnAdoptedTaskComesBackOnce) {
  Scheduler scheduler = WithTasks({"a", "b"});
  ASSERT_TRUE(scheduler.Adopt(EarlierLease(0, "a", kAnna, 17)));
  ASSERT_TRUE(scheduler.Adopt(EarlierLease(1, "b", kBert, 18)));
  EXPECT_FALSE(scheduler.CanGrant());
  scheduler.Lost(kAnna);
  scheduler.Lost(kBert);
  std::vector<std::string> granted;
  for (uint64_t fence = 20; fence < 22; ++fence) {
    scheduler.Ready({"agent-2", fence}, kNone);
    granted.push_back(scheduler.GrantNext(Fence(fence)).name);
  }
  EXPECT_EQ(granted, (std::vector<std::string>{"a", "b"}));
  scheduler.Ready({"agent-3", 1}, kNone);
  EXPECT_FALSE(scheduler.CanGrant());
  EXPECT_FALSE(scheduler.Find("a", Fence(17), kAnna)) << "a late result";
}

TEST(SchedulerTest, ALeaseThatDoesNotFitIsNotAdopted) {
  Scheduler scheduler = WithTasks({"a", "b", "c"});
  ASSERT_TRUE(scheduler.Adopt(EarlierLease(0, "a", kAnna, 17)));
  EXPECT_FALSE(scheduler.Adopt(EarlierLease(0, "a", kBert, 18))) << "the task has a holder";
  EXPECT_FALSE(scheduler.Adopt(EarlierLease(1, "b", kAnna, 18))) << "the worker has a task";
  EXPECT_FALSE(scheduler.Adopt(EarlierLease(1, "b", kBert, 17))) << "the fence is in use";
  scheduler.Ready(kBert, Fence(12));
  EXPECT_FALSE(scheduler.Adopt(EarlierLease(1, "b", kBert, 18))) << "the worker has none";
  EXPECT_EQ(scheduler.GrantNext(Fence(20)).name, "b");
  EXPECT_TRUE(scheduler.Find("a", Fence(17), kAnna));
}

TEST(SchedulerTest, ALostReadyWorkerGetsNothing) {
  Scheduler scheduler = WithTasks({"a"});
  scheduler.Ready(kAnna, kNone);
  scheduler.Lost(kAnna);
  EXPECT_FALSE(scheduler.CanGrant());
}

TEST(SchedulerTest, BadInputEndsTheStageAtOnceAndNamesTheTask) {
  for (const absl::Status& why : {InvalidArgument("line 3 is no text"), FailedPrecondition("moved"),
                                  ResourceExhausted("no space left")}) {
    Scheduler scheduler = WithTasks({"tokens/4"});
    scheduler.Ready(kAnna, kNone);
    scheduler.GrantNext(Fence(1));
    scheduler.Failed(Fence(1), why);
    ASSERT_TRUE(scheduler.FailureOf(kStage));
    EXPECT_EQ(scheduler.FailureOf(kStage)->why, why);
    EXPECT_EQ(scheduler.FailureOf(kStage)->task, "tokens/4");
  }
}

TEST(SchedulerTest, OtherFailuresAreTriedAgainSoManyTimes) {
  Scheduler scheduler = WithTasks({"a"});
  for (int64_t failure = 0; failure <= kFailuresMax; ++failure) {
    EXPECT_FALSE(scheduler.FailureOf(kStage)) << failure;
    scheduler.Ready(kAnna, Fence(failure));
    scheduler.GrantNext(Fence(failure + 1));
    if (failure % 2 == 0) {
      scheduler.Failed(Fence(failure + 1), DataLoss("a bit flipped"));
    } else {
      scheduler.Lost(kAnna);
    }
  }
  ASSERT_TRUE(scheduler.FailureOf(kStage));
  EXPECT_EQ(scheduler.FailureOf(kStage)->why, Internal("failed 3 times, last: a bit flipped"));
  EXPECT_EQ(scheduler.FailureOf(kStage)->task, "a");
}

TEST(SchedulerTest, FractionCountsParts) {
  Scheduler scheduler = WithTasks({"a", "b", "c", "d"});
  scheduler.Ready(kAnna, kNone);
  scheduler.Ready(kBert, kNone);
  scheduler.GrantNext(Fence(1));
  scheduler.GrantNext(Fence(2));
  Finish(scheduler, Fence(1));
  scheduler.Progress(Fence(2), 0.5);
  EXPECT_DOUBLE_EQ(scheduler.CountsOf(kStage).fraction, 0.375);
  scheduler.Progress(Fence(2), 7);
  EXPECT_DOUBLE_EQ(scheduler.CountsOf(kStage).fraction, 0.5) << "a fraction is at most 1";
  scheduler.Lost(kBert);
  EXPECT_DOUBLE_EQ(scheduler.CountsOf(kStage).fraction, 0.25) << "begun work that is lost is none";
}

TEST(SchedulerTest, ARemovedStagesLeasesAreForgottenAndTheWorkersStay) {
  Scheduler scheduler = WithTasks({"a", "b"});
  scheduler.Ready(kAnna, kNone);
  scheduler.Ready(kBert, kNone);
  scheduler.GrantNext(Fence(1));
  scheduler.Remove(kStage);
  EXPECT_FALSE(scheduler.CanGrant());
  scheduler.Add(kStage, Named({"a"}));
  EXPECT_FALSE(scheduler.Find("a", Fence(1), kAnna));
  scheduler.Failed(Fence(1), Internal("late"));
  EXPECT_EQ(scheduler.GrantNext(Fence(2)).worker, kBert);
  EXPECT_FALSE(scheduler.FailureOf(kStage));
}

TEST(SchedulerTest, StagesShareTheWorkersAndHaveCountsOfTheirOwn) {
  Scheduler scheduler(kFailuresMax);
  scheduler.Add(kOther, Named({"x", "y"}));
  scheduler.Add(kStage, Named({"a"}));
  for (const char* name : {"agent-0", "agent-1", "agent-2"}) scheduler.Ready({name, 1}, kNone);
  EXPECT_EQ(scheduler.GrantNext(Fence(1)).name, "a") << "the first in the graph is first";
  EXPECT_EQ(scheduler.GrantNext(Fence(2)).name, "x");
  EXPECT_EQ(scheduler.Find("x", Fence(2), {"agent-1", 1})->stage, kOther);
  scheduler.Failed(Fence(2), InvalidArgument("bad"));
  EXPECT_TRUE(scheduler.FailureOf(kOther));
  EXPECT_FALSE(scheduler.FailureOf(kStage));
  Finish(scheduler, Fence(1));
  EXPECT_TRUE(scheduler.CountsOf(kStage).all_done());
  EXPECT_EQ(scheduler.CountsOf(kOther).done, 0u);
  scheduler.Pause(kOther);
  EXPECT_FALSE(scheduler.CanGrant()) << "x and y wait, and agent-2 is ready";
}

// Agents that die, lose messages and answer late, at random from a seed.
class Simulation {
 public:
  explicit Simulation(uint64_t seed)
      : random_(seed, NoiseStream::kSampleOrder, 0, 0), scheduler_(/*failures_max=*/1 << 20) {
    std::vector<std::string> tasks;
    const uint64_t count = 1 + Below(12);
    for (uint64_t i = 0; i < count; ++i) tasks.push_back("t/" + std::to_string(i));
    scheduler_.Add(kStage, Named(tasks));
    const uint64_t agents = 1 + Below(4);
    for (uint64_t i = 0; i < agents; ++i) Start("agent-" + std::to_string(i));
  }

  void Run() {
    constexpr int kEventsMax = 20000;
    for (int event = 0; event < kEventsMax && !all_done(); ++event) {
      while (scheduler_.CanGrant()) Grant();
      Step();
    }
    EXPECT_TRUE(all_done());
    EXPECT_EQ(accepted_.size(), scheduler_.CountsOf(kStage).tasks);
    // Whatever still comes is refused.
    while (!results_.empty()) Deliver();
  }

 private:
  struct Result {
    std::string task;
    Fence fence;
    WorkerId worker;
  };

  bool all_done() const { return scheduler_.CountsOf(kStage).all_done(); }
  uint64_t Below(uint64_t bound) { return random_.Below(drawn_++, bound); }

  void Start(const std::string& name) {
    const WorkerId worker{name, ++launches_};
    alive_.push_back(worker);
    scheduler_.Ready(worker, kNone);
  }

  void Grant() {
    const struct Grant grant = scheduler_.GrantNext(Fence(fence_ += 1 + Below(3)));
    EXPECT_TRUE(last_fence_ < grant.fence);
    last_fence_ = grant.fence;
    present_fences_[grant.name] = granted_[grant.worker] = grant.fence;
    EXPECT_FALSE(accepted_.contains(grant.name)) << "done twice";
    EXPECT_NE(std::find(alive_.begin(), alive_.end(), grant.worker), alive_.end());
    work_.push_back({grant.name, grant.fence, grant.worker});
  }

  void Step() {
    const uint64_t kind = Below(100);
    if (!commits_.empty() && Below(3) == 0) return Commit();
    if (kind < 45) return Finish();
    if (kind < 75) return Deliver();
    if (kind < 85) return Die();
    if (kind < 95 && !alive_.empty()) {
      return SayReady(alive_[Below(alive_.size())]);
    }
    if (!results_.empty()) results_.pop_front();  // a message is lost
    if (!alive_.empty()) SayReady(alive_[Below(alive_.size())]);
  }

  // Its last result was lost; or the message is one of before its last lease.
  void SayReady(const WorkerId& worker) {
    const Fence last = granted_[worker];
    const bool is_late = last != kNone && Below(2) == 0;
    const std::optional<std::string> task = scheduler_.TaskOf(worker);
    scheduler_.Ready(worker, is_late ? Fence(last.value() - 1) : last);
    if (is_late) {
      EXPECT_EQ(scheduler_.TaskOf(worker), task);
    }
  }

  // A worker, dead or alive, sends a result of a lease that it had at some time.
  void Finish() {
    if (work_.empty()) return;
    const size_t which = Below(work_.size());
    results_.push_back(work_[which]);
    if (Below(4) != 0) work_.erase(work_.begin() + which);  // else it sends it twice
  }

  void Deliver() {
    if (results_.empty()) return;
    const Result result = results_.front();
    results_.pop_front();
    if (!scheduler_.Find(result.task, result.fence, result.worker)) return;
    EXPECT_EQ(scheduler_.TaskOf(result.worker), result.task);
    EXPECT_EQ(present_fences_[result.task], result.fence) << "a late result was taken";
    if (Below(8) == 0) return scheduler_.Failed(result.fence, Unavailable("by chance"));
    scheduler_.Take(result.fence);
    commits_.push_back(result);
    scheduler_.Ready(result.worker, result.fence);
  }

  // The answer of a commit comes, whatever has become of the worker.
  void Commit() {
    const Result result = commits_.front();
    commits_.pop_front();
    if (Below(8) == 0) return scheduler_.Failed(result.fence, DataLoss("by chance"));
    EXPECT_TRUE(accepted_.insert(result.task).second) << "done twice: " << result.task;
    scheduler_.Done(result.fence);
  }

  void Die() {
    if (alive_.empty()) return;
    const size_t which = Below(alive_.size());
    const WorkerId worker = alive_[which];
    alive_.erase(alive_.begin() + which);
    scheduler_.Lost(worker);
    EXPECT_EQ(scheduler_.TaskOf(worker), std::nullopt);
    Start(worker.name);
  }

  PhiloxStream random_;
  uint64_t drawn_ = 0;
  Scheduler scheduler_;
  std::vector<WorkerId> alive_;
  std::vector<Result> work_;
  std::deque<Result> results_, commits_;
  std::set<std::string> accepted_;
  uint64_t launches_ = 0, fence_ = 0;
  Fence last_fence_;
  std::map<std::string, Fence> present_fences_;
  std::map<WorkerId, Fence> granted_;
};

TEST(SchedulerTest, NothingIsLostOrDoneTwiceUnderRandomFailures) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Simulation(seed).Run();
    if (testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace halcyon::coordinator
