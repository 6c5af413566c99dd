#include "coordinator/processes/recovery.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "cluster/process.h"
#include "coordinator/submit/end_watch.h"

namespace halcyon::coordinator {
namespace {

using storage::FileLock;

class RecoveryTest : public testing::Test {
 protected:
  RecoveryTest() {
    const std::string root = testing::TempDir() + "halcyon-recovery-" + std::to_string(getpid());
    EXPECT_TRUE(env_.RemoveTree(root).ok());
    auto home = storage::OpenHome(root);
    EXPECT_TRUE(home.ok()) << home.status();
    home_ = *home;
  }
  ~RecoveryTest() override {
    for (const ProcessIdentity& process : left_) KillProcess(process);
    EXPECT_TRUE(env_.RemoveTree(home_.root).ok());
  }

  // A process that runs until it is killed, in the journal as the job's.
  std::unique_ptr<cluster::ChildProcess> StartRecorded() {
    auto child = cluster::ChildProcess::Spawn(
        {.argv = {"sleep", "1000"}, .env = {}, .output_path = "/dev/null"});
    EXPECT_TRUE(child.ok()) << child.status();
    history_.processes["agent-0"] =
        LocatedProcess::OfThisMachine(*IdentityOfProcess((*child)->pid()));
    return *std::move(child);
  }
  // The same as an agent of a coordinator, which goes on without it.
  ProcessIdentity StartAgent(const std::string& origin) {
    const auto gang =
        cluster::MakeGang(StartRecorded(), {.launcher = cluster::kNoLauncher, .hosts = {}});
    gang->Leave();
    history_.agents["agent-0"] = ToJson(EarlierAgentRecord{7, origin, gang->record()});
    left_.push_back(*gang->launcher());
    return left_.back();
  }
  EarlierAgents Take(const std::string& origin) {
    return TakeEarlierAgents(history_, origin, *launcher_);
  }
  bool EndsSoon(const ProcessIdentity& process) {
    return Clock::Real()->WaitFor([&] { return !IsAlive(process); }, 10000);
  }
  absl::Status End(uint64_t incarnation, const SparedWorkers& spared = {}) {
    return EndOldWorkers(env_, clock_, home_, "job", Incarnation(incarnation), history_, spared);
  }
  absl::StatusOr<OwnedJob> Own(const std::string& job) {
    return OwnJob(env_, home_, job, clock_, [](const std::string&) {});
  }

  Env& env_ = *Env::Posix();
  SimulatedClock clock_;
  storage::HomeLayout home_;
  storage::JobHistory history_;
  const std::unique_ptr<cluster::GangLauncher> launcher_ = cluster::MakeMpirunLauncher();
  std::vector<ProcessIdentity> left_;
};

TEST_F(RecoveryTest, AFirstRunEndsNoProcess) {
  ASSERT_TRUE(End(3).ok());
  EXPECT_EQ(*env_.ReadFile(home_.AliveFile("job")), "3");
}

TEST_F(RecoveryTest, KillsWhatTheOldCoordinatorStarted) {
  const auto child = StartRecorded();
  ASSERT_TRUE(End(2).ok());
  std::optional<cluster::ExitStatus> status;
  ASSERT_TRUE(Clock::Real()->WaitFor([&] { return (status = child->Poll()).has_value(); }, 10000));
  EXPECT_EQ(status->signal, 9);
}

TEST_F(RecoveryTest, AnAgentOfTheSameOriginGoesOn) {
  const ProcessIdentity agent = StartAgent("one");
  const EarlierAgents taken = Take("one");
  ASSERT_TRUE(taken.contains("agent-0"));
  const std::vector<EarlierAgent> agents = AgentsOf(taken);
  EXPECT_EQ(agents[0].id, (WorkerId{"agent-0", 7}));
  EXPECT_EQ(agents[0].process, agent);
  ASSERT_TRUE(End(2, {.gangs = {}, .agents = taken}).ok());
  EXPECT_TRUE(IsAlive(agent));
}

TEST_F(RecoveryTest, AnAgentOfAnotherOriginIsEnded) {
  const ProcessIdentity agent = StartAgent("one");
  EXPECT_TRUE(Take("another").empty());
  EXPECT_TRUE(EndsSoon(agent));
}

TEST_F(RecoveryTest, AnAgentThatHasEndedIsNotTaken) {
  const ProcessIdentity agent = StartAgent("one");
  KillProcess(agent);
  ASSERT_TRUE(EndsSoon(agent));
  EXPECT_TRUE(Take("one").empty());
}

TEST_F(RecoveryTest, AnAgentThatWasStartedOnAnotherMachineIsNotLookedUpHere) {
  const ProcessIdentity agent = StartAgent("one");
  nlohmann::json& launcher = history_.agents["agent-0"]["launcher"];
  launcher["host"] = "elsewhere";
  launcher["boot_id"] = "of another";
  EXPECT_TRUE(Take("one").empty());
  EXPECT_TRUE(IsAlive(agent));
}

TEST_F(RecoveryTest, TheOriginOfAgentsIsTheirProgramAndJobFile) {
  const std::string program = JoinPath(home_.root, "program");
  jobs::JobSpec spec;
  ASSERT_TRUE(WriteFileAtomically(env_, program, "1").ok());
  const std::string origin = OriginOfAgents(program, spec);
  EXPECT_EQ(OriginOfAgents(program, spec), origin);
  spec.launch.arithmetic = jobs::Arithmetic::kPortable;
  EXPECT_NE(OriginOfAgents(program, spec), origin);
  spec = {};
  ASSERT_TRUE(WriteFileAtomically(env_, program, "12").ok());
  EXPECT_NE(OriginOfAgents(program, spec), origin);
}

TEST_F(RecoveryTest, AProcessThatTookOverThePidLives) {
  const auto child = StartRecorded();
  history_.processes["agent-0"].process.start_time -= 1;
  ASSERT_TRUE(End(2).ok());
  EXPECT_FALSE(child->Poll().has_value());
}

TEST_F(RecoveryTest, AProcessOfAnotherMachineIsNotLookedUpHere) {
  const auto child = StartRecorded();
  history_.processes["agent-0"].host = "elsewhere";
  ASSERT_TRUE(End(2).ok());
  EXPECT_FALSE(child->Poll().has_value());
}

TEST_F(RecoveryTest, AWorkerThatStaysIsAnErrorThatNamesTheFile) {
  ASSERT_TRUE(End(1).ok());
  const auto held = FileLock::TryAcquire(home_.AliveFile("job"), FileLock::Mode::kShared);
  ASSERT_TRUE(held.ok() && *held != nullptr);
  const absl::Status status = End(2);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(status).find(home_.AliveFile("job")), std::string::npos) << status;
  EXPECT_EQ(*env_.ReadFile(home_.AliveFile("job")), "2")
      << "the old worker must read that it is none any more";
}

TEST_F(RecoveryTest, TheSecondRunOfAJobWaitsAndSaysForWhom) {
  std::vector<std::string> notes;
  auto first = Own("job");
  ASSERT_TRUE(first.ok());
  EXPECT_FALSE(first->before.has_value());
  EXPECT_TRUE(Own("another").ok()) << "jobs do not wait for each other";
  const auto second = OwnJob(env_, home_, "job", clock_, [&](const std::string& line) {
    notes.push_back(line);
    if (notes.size() == 2) first->lease.reset();
  });
  ASSERT_TRUE(second.ok());
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_EQ(notes[0], "waiting for job job (pid " + std::to_string(getpid()) + " on " + HostName() +
                          "), which is running");
  EXPECT_GE(clock_.MonotonicMs(), 10000) << "not more often than every few seconds";
  EXPECT_EQ(second->incarnation(), Incarnation(2));
  ASSERT_TRUE(second->before.has_value());
  EXPECT_EQ(second->before->process.pid, getpid());
}

TEST_F(RecoveryTest, AnIncarnationIsAboveTheWorkersThatRanLast) {
  ASSERT_TRUE(End(41).ok());
  EXPECT_EQ(Own("job")->incarnation(), Incarnation(42));
  ASSERT_TRUE(WriteFileAtomically(env_, home_.AliveFile("job"), "no number").ok());
  EXPECT_EQ(Own("job")->incarnation(), Incarnation(43));
}

TEST_F(RecoveryTest, OwnersAreSeenWithoutTakingAnything) {
  EXPECT_FALSE(OwnerOf(env_, home_, "job").has_value());
  {
    const auto owned = Own("job");
    ASSERT_TRUE(OwnerOf(env_, home_, "job").has_value());
    EXPECT_EQ(OwnerOf(env_, home_, "job")->process.pid, getpid());
  }
  EXPECT_FALSE(OwnerOf(env_, home_, "job").has_value()) << "it was given up";
}

// Owners on another machine, which cannot be looked up there.
class DistantOwnerTest : public RecoveryTest {
 protected:
  DistantOwnerTest() {
    storage::LeaseHolder holder = storage::ThisProcess("job job");
    holder.host = "elsewhere";
    storage::LeaseSeeker seeker(env_, clock_, home_.Owner("job"), holder);
    auto lease = seeker.TryTake();
    EXPECT_TRUE(lease.ok()) << lease.status();
    lease_ = *std::move(lease);
  }
  JobStatus Running() {
    JobStatus status;
    status.job_id = "job";
    status.state = jobs::JobState::kRunning;
    return status;
  }
  std::unique_ptr<storage::Lease> lease_;
};

// Renews a lease whenever somebody sleeps.
class RenewingClock : public SimulatedClock {
 public:
  explicit RenewingClock(storage::Lease& lease) : lease_(lease) {}
  void SleepMs(int64_t duration_ms) override {
    SimulatedClock::SleepMs(duration_ms);
    EXPECT_TRUE(lease_.Renew().ok());
  }

 private:
  storage::Lease& lease_;
};

TEST_F(DistantOwnerTest, LivesWhenItsBeatChanges) {
  RenewingClock clock(*lease_);
  const auto owner = LivingOwnerOf(env_, clock, home_, "job");
  ASSERT_TRUE(owner);
  EXPECT_EQ(owner->host, "elsewhere");
  EXPECT_LT(clock.MonotonicMs(), 5000) << "and is not looked at for longer";
}

TEST_F(DistantOwnerTest, IsDeadWhenItsBeatStandsStill) {
  EXPECT_TRUE(OwnerOf(env_, home_, "job")) << "as far as one look tells";
  EXPECT_FALSE(LivingOwnerOf(env_, clock_, home_, "job"));
  EXPECT_GE(clock_.MonotonicMs(), storage::kLeaseTimeMs);
}

TEST_F(DistantOwnerTest, WhoWaitsForTheJobsEndNoticesItsDeath) {
  EndWatch watch(home_, clock_);
  JobStatus status = Running();
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(*watch.HasEnded(&status));
    clock_.AdvanceMs(storage::kLeaseTimeMs - 1);
    ASSERT_TRUE(lease_->Renew().ok());
  }
  EXPECT_FALSE(*watch.HasEnded(&status));
  EXPECT_EQ(status.state, jobs::JobState::kRunning);
  clock_.AdvanceMs(storage::kLeaseTimeMs);
  EXPECT_TRUE(*watch.HasEnded(&status));
  EXPECT_EQ(status.state, jobs::JobState::kInterrupted);
  JobStatus again = Running();
  watch.Correct(&again);
  EXPECT_EQ(again.state, jobs::JobState::kInterrupted);
}

}  // namespace
}  // namespace halcyon::coordinator
