// The job and its stages of tasks as a pure value.
#include "coordinator/run/job_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/coordinator_link.h"
#include "coordinator/run/launch_plan.h"
#include "tests/coordinator/run_fixture.h"

namespace halcyon::coordinator {
namespace {

using jobs::StageKind;
using jobs::StageState;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// --- from the start to the end ---

TEST_F(JobRunTest, AStageBeginsWhenItsInputsAreMade) {
  Begin();
  EXPECT_EQ(StateOf(Node("tokenizer")), StageState::kRunning);
  EXPECT_EQ(StateOf(Node("tokens")), StageState::kWaiting);
  FinishTask(Sent<cluster::Lease>().front());
  EXPECT_EQ(StateOf(Node("tokenizer")), StageState::kRunning) << "done, but not installed";
  EXPECT_THAT(All<effect::FindStage>(), IsEmpty());
  const auto install = Only<effect::Install>();
  Happen(event::Installed{install.stage, "it is a poor one"});
  EXPECT_THAT(Told(), HasSubstr("warning: it is a poor one\n"));
  EXPECT_EQ(StateOf(Node("tokenizer")), StageState::kDone);
  EXPECT_EQ(Only<effect::FindStage>().stage, Node("tokens"));
}

TEST_F(JobRunTest, WhatIsMadeIsReusedAndNoAgentIsStarted) {
  for (const StageKind kind : jobs::kAllStages) {
    made_.insert("of " + std::string(jobs::StageName(kind)));
  }
  Begin();
  EXPECT_THAT(agents_, IsEmpty());
  EXPECT_TRUE(Ended(absl::StatusCode::kOk)) << HowItEnded();
  EXPECT_EQ(StateOf(Node("eval")), StageState::kReused);
}

TEST_F(JobRunTest, AJobThatCannotBeRunBeginsNothing) {
  check_ = ResourceExhausted("no room");
  Begin();
  EXPECT_TRUE(Ended(absl::StatusCode::kResourceExhausted, "no room")) << HowItEnded();
  EXPECT_THAT(All<effect::FindStage>(), IsEmpty());
}

TEST_F(JobRunTest, AgentsAreToldToEndAndKilledWhenTheyDoNot) {
  made_ = {"of autoencoder", "of latents", "of model"};
  Begin();
  FinishTasks();
  EXPECT_THAT(Sent<cluster::Stop>(), SizeIs(2));
  EXPECT_FALSE(run_->end());
  Happen(event::AgentEnded{agents_[0], Unavailable("ended"), {}});
  PassMs(kAgentEndMsMax - 1);
  EXPECT_FALSE(run_->end()) << "the other one has not ended";
  PassMs(1);
  EXPECT_TRUE(Ended(absl::StatusCode::kOk)) << HowItEnded();
  EXPECT_THAT(All<effect::EndAgent>(), SizeIs(2));
  EXPECT_EQ(All<effect::MoveJob>().back().state, jobs::JobState::kDone);
}

TEST_F(JobRunTest, ASecondRequestWaitsForNoAgent) {
  Begin();
  Stop(2);
  EXPECT_TRUE(Ended(absl::StatusCode::kAborted, "tokenizer: stopped; tokenizer begins again"))
      << HowItEnded();
}

TEST_F(JobRunTest, ACancelledJobEndsAsThat) {
  Begin();
  Happen(event::StopRequested{2, /*cancel=*/true});
  EXPECT_TRUE(
      Ended(absl::StatusCode::kCancelled, "cancelled: tokenizer: stopped; tokenizer begins again"))
      << HowItEnded();
  EXPECT_EQ(All<effect::MoveJob>().back().state, jobs::JobState::kCancelled);
}

TEST_F(JobRunTest, AFailureIsNotHiddenByACancel) {
  Begin();
  Happen(event::Broken{Internal("the disk is gone")});
  Happen(event::StopRequested{2, /*cancel=*/true});
  EXPECT_TRUE(Ended(absl::StatusCode::kInternal)) << HowItEnded();
}

TEST_F(JobRunTest, TheFailureOfItsOnlyTaskNamesAStageOnce) {
  Begin();
  const auto [worker, lease] = Sent<cluster::Lease>().front();
  From(worker,
       cluster::TaskFailed{"tokenizer", lease.fence,
                           static_cast<int>(absl::StatusCode::kInvalidArgument), "no text"});
  PassMs(kAgentEndMsMax);
  ASSERT_TRUE(Ended(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(MessageOf(*run_->end()), "tokenizer: no text");
}

// The tokenizer's and the tokens' tasks read the same text.
TEST_F(JobRunTest, TheSameWarningOfTwoStagesIsToldOnce) {
  Begin();
  const auto warn = [&](const std::pair<WorkerId, cluster::Lease>& lease, const char* text) {
    From(lease.first,
         cluster::TaskDone{lease.second.task, lease.second.fence, {{"warnings", {text}}}});
    CommitAll();
    From(lease.first, cluster::Ready{lease.second.fence});
  };
  warn(Sent<cluster::Lease>().front(), "a.txt is odd");
  InstallAll();
  const auto leases = Sent<cluster::Lease>();
  ASSERT_THAT(leases, SizeIs(2));
  warn(leases[0], "a.txt is odd");
  warn(leases[1], "b.txt is odd");
  std::string warnings;
  for (const auto& tell : All<effect::Tell>()) {
    if (tell.line.starts_with("warning: ")) warnings += tell.line + "\n";
  }
  EXPECT_EQ(warnings, "warning: a.txt is odd\nwarning: b.txt is odd\n");
  EXPECT_THAT(All<effect::LogWarning>(), SizeIs(3)) << "the log has them by stage";
}

// --- leases ---

class LeaseTest : public JobRunTest {
 protected:
  LeaseTest() {
    made_ = {"of tokenizer"};
    Begin();
    leases_ = Sent<cluster::Lease>();
  }
  std::vector<std::pair<WorkerId, cluster::Lease>> leases_;
};

TEST_F(LeaseTest, TheTaskOfAWorkerThatDiesGoesToAnother) {
  ASSERT_THAT(leases_, SizeIs(2));
  const auto [worker, lease] = leases_[0];
  Happen(event::AgentEnded{worker, Unavailable("agent-0 ended with exit code 1"), {}});
  EXPECT_THAT(Told(), HasSubstr("(tokens/0) agent-0 ended with exit code 1"));
  PassMs(RestartBudget::kWaitMsMin - 1);
  EXPECT_FALSE(Has<effect::StartAgent>()) << "it waits first";
  PassMs(1);
  Settle();
  const auto again = Sent<cluster::Lease>();
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].second.task, "tokens/0");
  EXPECT_GT(again[0].second.fence, lease.fence);
  EXPECT_NE(again[0].first, worker) << "another process, if of the same name";
  // It was not dead after all: its result comes late.
  All<effect::Forget>();
  From(worker, cluster::TaskDone{lease.task, lease.fence, {}});
  EXPECT_THAT(All<effect::Ingest>(), IsEmpty());
  EXPECT_EQ(Only<effect::Forget>().worker, worker);
}

TEST_F(LeaseTest, AResultAfterTheLeaseWasGivenBackIsRefused) {
  const auto [worker, lease] = leases_[0];
  From(worker, cluster::Ready{});
  EXPECT_THAT(Sent<cluster::Lease>(), IsEmpty()) << "of the time before the lease";
  From(worker, cluster::Ready{lease.fence});
  const auto again = Sent<cluster::Lease>();
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].first, worker);
  From(worker, cluster::TaskDone{lease.task, lease.fence, {}});
  EXPECT_THAT(All<effect::Ingest>(), IsEmpty());
  EXPECT_THAT(All<effect::LogWarning>().back().line, HasSubstr("refused a message of agent-0"));
  From(worker, cluster::TaskDone{lease.task, again[0].second.fence, {}});
  EXPECT_THAT(All<effect::Ingest>(), SizeIs(1));
}

TEST_F(LeaseTest, TheResultOfAWorkerThatDiesDuringTheCommitCounts) {
  const auto [worker, lease] = leases_[0];
  From(worker, cluster::TaskDone{lease.task, lease.fence, {}});
  const auto ingest = Only<effect::Ingest>();
  Happen(event::AgentEnded{worker, Unavailable("agent-0 ended"), {}});
  EXPECT_THAT(Told(), HasSubstr("(no task) agent-0 ended"));
  Happen(event::Ingested{ingest.stage, ingest.fence, absl::OkStatus()});
  EXPECT_EQ(All<effect::ShowTasks>().back().done, 1u);
  Settle();
  for (const auto& later : Sent<cluster::Lease>()) EXPECT_NE(later.second.task, lease.task);
}

TEST_F(LeaseTest, AResultThatIsSentTwiceIsCommittedOnce) {
  const auto [worker, lease] = leases_[0];
  From(worker, cluster::TaskDone{lease.task, lease.fence, {}});
  From(worker, cluster::TaskDone{lease.task, lease.fence, {}});
  EXPECT_THAT(All<effect::Ingest>(), SizeIs(1));
}

TEST_F(LeaseTest, AResultThatCannotBeCommittedIsMadeAgainSoOften) {
  size_t leased = 0;
  for (auto lease = leases_[0];; ++leased) {
    From(lease.first, cluster::TaskDone{lease.second.task, lease.second.fence, {}});
    const auto ingest = Only<effect::Ingest>();
    From(lease.first, cluster::Ready{lease.second.fence});
    const auto other = Sent<cluster::Lease>();
    ASSERT_THAT(other, SizeIs(1));
    EXPECT_NE(other[0].second.task, "tokens/0");
    Happen(event::Ingested{ingest.stage, ingest.fence, DataLoss("bytes differ")});
    EXPECT_THAT(Told(), HasSubstr("tokens/0 failed: bytes differ"));
    if (StateOf(Node("tokens")) == StageState::kFailed) break;
    // The task that the worker got meanwhile goes back, and it gets this one.
    From(lease.first, cluster::Ready{other[0].second.fence});
    const auto again = Sent<cluster::Lease>();
    ASSERT_THAT(again, SizeIs(1));
    ASSERT_EQ(again[0].second.task, "tokens/0");
    lease = again[0];
  }
  EXPECT_EQ(leased, 2u) << "restarts_max is 2";
  PassMs(kAgentEndMsMax);
  EXPECT_TRUE(Ended(absl::StatusCode::kInternal, "tokens/0: failed 3 times, last: bytes differ"))
      << HowItEnded();
}

TEST_F(LeaseTest, AFullDiskEndsTheStageAtOnce) {
  From(leases_[0].first, cluster::TaskDone{leases_[0].second.task, leases_[0].second.fence, {}});
  const auto ingest = Only<effect::Ingest>();
  Happen(event::Ingested{ingest.stage, ingest.fence, ResourceExhausted("no space left")});
  PassMs(kAgentEndMsMax);
  ASSERT_TRUE(Ended(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(MessageOf(*run_->end()), "tokens/0: no space left") << "which names its stage";
  EXPECT_EQ(StateOf(Node("tokens")), StageState::kFailed);
}

TEST_F(LeaseTest, AWrongSourceIsReadAnew) {
  From(leases_[0].first,
       cluster::TaskFailed{"tokens/0", leases_[0].second.fence,
                           static_cast<int>(absl::StatusCode::kFailedPrecondition), "other bytes"});
  EXPECT_THAT(All<effect::RereadSources>(), SizeIs(1));
}

TEST_F(LeaseTest, AnAgentThatHangsIsReplaced) {
  Happen(event::Suspected{leases_[0].first, "stopped sending", {}});
  EXPECT_EQ(Only<effect::EndAgent>().agent, leases_[0].first);
  EXPECT_THAT(Told(), HasSubstr("(tokens/0) agent-0 stopped sending"));
  PassMs(RestartBudget::kWaitMsMin);
  EXPECT_EQ(Only<effect::StartAgent>().agent.name, "agent-0");
}

// A launcher on another machine, for instance, waits for ever.
TEST_F(JobRunTest, AnAgentThatDoesNotComeUpInTimeIsEnded) {
  agents_come_up_ = false;
  limits_.agents = 1;
  Begin();
  ASSERT_THAT(agents_, SizeIs(1));
  PassMs(kAgentStartMsMax - 1);
  Happen(event::Paused{});  // its time begins anew
  PassMs(kAgentStartMsMax - 1);
  EXPECT_FALSE(Has<effect::EndAgent>());
  PassMs(1);
  EXPECT_EQ(Only<effect::EndAgent>().agent, agents_[0]);
  EXPECT_THAT(Told(), HasSubstr("agent-0 has not come up in 120 s"));
  PassMs(RestartBudget::kWaitMsMax);
  EXPECT_GT(Only<effect::StartAgent>().agent.incarnation, agents_[0].incarnation);
  PassMs(kAgentStartMsMax);
  PassMs(kAgentEndMsMax);
  EXPECT_TRUE(Ended(absl::StatusCode::kInternal, "agent-0 has not come up in 120 s"))
      << HowItEnded();
}

// The machine of one of them, for instance, is gone.
TEST_F(LeaseTest, AnAgentThatDoesNotComeUpAgainIsLeftOutWhileOthersWork) {
  const WorkerId lost = leases_[0].first;
  Happen(event::AgentEnded{lost, Unavailable("ended with exit code 1"), {}});
  for (int start = 0; start < 2; ++start) {
    PassMs(RestartBudget::kWaitMsMax);
    const WorkerId again = Only<effect::StartAgent>().agent;
    EXPECT_EQ(again.name, lost.name);
    Happen(event::AgentEnded{again, Unavailable("no route to host"), {}});
  }
  EXPECT_FALSE(run_->end());
  EXPECT_THAT(Told(), HasSubstr("agent-0 is left out for 10 minutes; the others go on"));
  PassMs(kExcludedMs - 1);
  EXPECT_FALSE(Has<effect::StartAgent>());
  PassMs(1);
  EXPECT_TRUE(Has<effect::StartAgent>());
  // Without the other nothing goes on.
  Happen(event::AgentEnded{leases_[1].first, Unavailable("ended"), {}});
  for (int start = 0; start < 2; ++start) {
    for (const auto& one : All<effect::StartAgent>()) {
      Happen(event::AgentEnded{one.agent, Unavailable("no route to host"), {}});
    }
    PassMs(RestartBudget::kWaitMsMax);
  }
  for (const auto& one : All<effect::StartAgent>()) {
    Happen(event::AgentEnded{one.agent, Unavailable("no route to host"), {}});
  }
  PassMs(1000);
  EXPECT_TRUE(run_->end());
}

TEST_F(LeaseTest, AnAgentWhoseTaskStandsStillIsReplacedAlthoughItAnswers) {
  const int64_t limit_ms = kUnknownFactor * HangLimits().floor_ms;
  const auto beat = [&](const std::string& phase, uint64_t advances, int64_t age_ms) {
    Happen(event::Beats{
        {{.worker = leases_[0].first,
          .activity = {
              .phase = phase, .what = "tokens/0", .advances = advances, .age_ms = age_ms}}}});
  };
  beat("idle", 1, 10 * limit_ms);
  beat("task", 2, limit_ms);
  EXPECT_FALSE(Has<effect::EndAgent>()) << "idle for long, or nothing known of its task";
  Happen(event::Paused{});
  beat("task", 2, limit_ms + 1);
  EXPECT_FALSE(Has<effect::EndAgent>()) << "this process did not run";
  PassMs(2 * cluster::kHeartbeatTimeoutMs);
  beat("task", 2, limit_ms + 1);
  EXPECT_EQ(Only<effect::EndAgent>().agent, leases_[0].first);
  EXPECT_EQ(All<effect::ShowWorkers>().back().workers.at(0).verdict, Verdict::kStuck);
  EXPECT_THAT(Told(), HasSubstr("(tokens/0) agent-0 is stuck in tokens/0, for 1800 s"));
}

TEST_F(LeaseTest, AnAgentIsKnownByItsWholeId) {
  const uint64_t incarnation = leases_[0].first.incarnation;
  for (const WorkerId& other :
       {WorkerId{"agent-00", incarnation}, WorkerId{"agent-0x", incarnation},
        WorkerId{"agent-", incarnation}, WorkerId{"agent-7", incarnation},
        WorkerId{"agent-99999999999999999999", incarnation},
        WorkerId{"agent-0", incarnation + 100}}) {
    From(other, cluster::Ready{});
    EXPECT_EQ(Only<effect::Forget>().worker, other) << other.name;
    EXPECT_THAT(Sent<cluster::Lease>(), IsEmpty());
  }
}

TEST_F(LeaseTest, AnEndShortlyAfterAPauseDoesNotCount) {
  agents_come_up_ = false;
  WorkerId worker = leases_[0].first;
  for (int end = 0; end < 5; ++end) {
    Happen(event::Paused{});
    Happen(event::AgentEnded{worker, Unavailable("ended"), {}});
    worker = Only<effect::StartAgent>().agent;
  }
  now_ms_ += 2 * cluster::kHeartbeatTimeoutMs;
  for (int end = 0; end < 2; ++end) {
    EXPECT_EQ(StateOf(Node("tokens")), StageState::kRunning);
    Happen(event::AgentEnded{worker, Unavailable("ended"), {}});
    PassMs(RestartBudget::kWaitMsMin);
    if (end == 0) worker = Only<effect::StartAgent>().agent;
  }
  EXPECT_THAT(Told(), HasSubstr("agent-0 is left out")) << "twice before its Hello";
}

TEST_F(LeaseTest, AStopWaitsForTheCommitThatIsUnderWay) {
  From(leases_[0].first, cluster::TaskDone{leases_[0].second.task, leases_[0].second.fence, {}});
  const auto ingest = Only<effect::Ingest>();
  Stop();
  EXPECT_EQ(StateOf(Node("tokens")), StageState::kRunning);
  From(leases_[0].first, cluster::Ready{leases_[0].second.fence});
  EXPECT_THAT(Sent<cluster::Lease>(), IsEmpty()) << "nothing more is handed out";
  Happen(event::Ingested{ingest.stage, ingest.fence, absl::OkStatus()});
  EXPECT_EQ(StateOf(Node("tokens")), StageState::kInterrupted);
  PassMs(kAgentEndMsMax);
  EXPECT_TRUE(Ended(absl::StatusCode::kAborted,
                    "tokens: stopped; 1 of 4 shards are kept; run the same command again"))
      << HowItEnded();
}

TEST_F(LeaseTest, AFailedInstallationFailsTheStage) {
  for (auto leases = leases_; !leases.empty(); leases = Sent<cluster::Lease>()) {
    for (const auto& lease : leases) FinishTask(lease);
  }
  const auto install = Only<effect::Install>();
  Happen(event::Installed{install.stage, FailedPrecondition("the place is taken")});
  EXPECT_EQ(StateOf(Node("tokens")), StageState::kFailed);
  PassMs(kAgentEndMsMax);
  EXPECT_TRUE(Ended(absl::StatusCode::kFailedPrecondition, "tokens: the place is taken"));
}

TEST_F(LeaseTest, ABrokenEffectFailsTheStageThatRuns) {
  Happen(event::Broken{Internal("cannot start agent-1: no such program")});
  PassMs(kAgentEndMsMax);
  EXPECT_TRUE(Ended(absl::StatusCode::kInternal, "tokens: cannot start agent-1"));
  EXPECT_EQ(StateOf(Node("tokens")), StageState::kFailed);
}

TEST_F(LeaseTest, AgentsAreEndedWhenAnotherJobHasTakenTheirStageOver) {
  Happen(event::LeaseLost{Aborted("taken over by job u (pid 2 on far)")});
  EXPECT_EQ(StateOf(Node("tokens")), StageState::kInterrupted);
  PassMs(kAgentEndMsMax);
  EXPECT_FALSE(All<effect::EndAgent>().empty());
  EXPECT_TRUE(Ended(absl::StatusCode::kAborted, "taken over by job u")) << HowItEnded();
}

TEST_F(LeaseTest, ResultsThatWaitForTheirCommitAreBounded) {
  limits_.agents = 1;
  shards_ = 3 * kCommitsMax;
  effects_.clear();
  states_.clear();
  Begin();
  size_t done = 0;
  for (auto leases = Sent<cluster::Lease>(); !leases.empty(); leases = Sent<cluster::Lease>()) {
    ASSERT_THAT(leases, SizeIs(1));
    From(leases[0].first, cluster::TaskDone{leases[0].second.task, leases[0].second.fence, {}});
    From(leases[0].first, cluster::Ready{leases[0].second.fence});
    Settle();
    ++done;
  }
  EXPECT_EQ(done, kCommitsMax);
  CommitAll();
  Settle();
  EXPECT_THAT(Sent<cluster::Lease>(), SizeIs(1));
}

TEST_F(JobRunTest, ACoordinatorThatStartsAgainGoesOnFromWhatIsCommitted) {
  made_ = {"of tokenizer"};
  shards_done_ = 3;
  Begin();
  const auto shown = All<effect::ShowTasks>();
  EXPECT_TRUE(shown.front().is_start);
  EXPECT_EQ(shown.front().tasks, 4u);
  EXPECT_EQ(shown.front().done, 3u);
  EXPECT_DOUBLE_EQ(shown.front().fraction, 0.75);
  const auto leases = Sent<cluster::Lease>();
  ASSERT_THAT(leases, SizeIs(1));
  EXPECT_EQ(leases[0].second.task, "tokens/3");
  EXPECT_EQ(leases[0].second.parameters.at("shard"), 3);
  From(leases[0].first, cluster::TaskDone{"tokens/3", leases[0].second.fence, {}});
  EXPECT_EQ(Only<effect::Ingest>().task, 0u) << "the first of those that are missing";
}

TEST_F(JobRunTest, ACacheWithEveryShardIsInstalledWithoutAgents) {
  made_ = {"of tokenizer"};
  shards_done_ = shards_;
  Begin();
  EXPECT_THAT(agents_, IsEmpty());
  EXPECT_EQ(Only<effect::Install>().stage, Node("tokens"));
}

TEST_F(JobRunTest, AStopBetweenStagesNamesTheOneThatHasNotBegun) {
  Begin();
  FinishTask(Sent<cluster::Lease>().front());
  Stop();
  InstallAll();
  EXPECT_EQ(StateOf(Node("tokenizer")), StageState::kDone) << "what is made is kept";
  PassMs(kAgentEndMsMax);
  EXPECT_TRUE(Ended(absl::StatusCode::kAborted, "stopped; tokens has not begun"));
}

// --- several variants ---

TEST_F(JobRunTest, IndependentStagesRunAtTheSameTimeAndShareTheAgents) {
  limits_.agents = 4;
  Begin(TwoTexts(Spec()));
  const auto tokenizers = NodesOf(StageKind::kTokenizer);
  ASSERT_THAT(tokenizers, SizeIs(2));
  const auto leases = Sent<cluster::Lease>();
  ASSERT_THAT(leases, SizeIs(2));
  EXPECT_EQ(leases[0].second.task, Label(tokenizers[0]));
  EXPECT_EQ(leases[1].second.task, Label(tokenizers[1]));
  EXPECT_NE(leases[0].second.assignment.work_dir, leases[1].second.assignment.work_dir);
  EXPECT_THAT(agents_, SizeIs(4)) << "not so many each";
  // The second is done first; its tokens are made beside the first's tokenizer.
  FinishTask(leases[1]);
  InstallAll();
  const auto tokens = NodesOf(StageKind::kTokens);
  EXPECT_EQ(StateOf(tokenizers[0]), StageState::kRunning);
  EXPECT_EQ(StateOf(tokens[1]), StageState::kRunning);
  EXPECT_THAT(Sent<cluster::Lease>(), SizeIs(3)) << "one agent is still at the first tokenizer";
}

TEST_F(JobRunTest, AResultIsThatOfTheVariantWhoseLeaseItCarries) {
  limits_.agents = 4;
  Begin(TwoTexts(Spec()));
  const auto leases = Sent<cluster::Lease>();
  const auto tokenizers = NodesOf(StageKind::kTokenizer);
  From(leases[0].first, cluster::TaskDone{leases[1].second.task, leases[1].second.fence, {}});
  EXPECT_THAT(All<effect::Ingest>(), IsEmpty()) << "the lease is another worker's";
  From(leases[1].first, cluster::TaskDone{leases[1].second.task, leases[1].second.fence, {}});
  EXPECT_EQ(Only<effect::Ingest>().stage, tokenizers[1]);
}

TEST_F(JobRunTest, StagesOfOneFingerprintAreMadeOnce) {
  const auto variants = TwoTexts(Spec());
  const jobs::StageGraph graph(variants);
  for (const jobs::StageNode& node : graph.nodes()) {
    fingerprints_[node.label] = "of both " + std::string(jobs::StageName(node.kind));
  }
  Begin(variants);
  const auto tokenizers = NodesOf(StageKind::kTokenizer);
  EXPECT_EQ(StateOf(tokenizers[0]), StageState::kRunning);
  EXPECT_EQ(StateOf(tokenizers[1]), StageState::kWaiting);
  const auto leases = Sent<cluster::Lease>();
  ASSERT_THAT(leases, SizeIs(1));
  made_.insert("of both tokenizer");
  FinishTask(leases[0]);
  InstallAll();
  EXPECT_EQ(StateOf(tokenizers[0]), StageState::kDone);
  EXPECT_EQ(StateOf(tokenizers[1]), StageState::kReused);
}

// --- stages that other jobs make ---

TEST_F(JobRunTest, AStageThatAnotherJobMakesIsWaitedForAndReused) {
  busy_["of tokenizer"] = "job other (pid 3 on far)";
  Begin();
  EXPECT_EQ(Told(), "tokenizer: waits for job other (pid 3 on far), which makes it\n");
  EXPECT_TRUE(All<effect::PrepareStage>().empty());
  PassMs(kClaimPollMs - 1);
  EXPECT_TRUE(All<effect::FindStage>().empty());
  PassMs(1);
  Settle();
  EXPECT_EQ(Told(), "") << "the same job is named once";
  made_.insert("of tokenizer");
  PassMs(kClaimPollMs);
  Settle();
  EXPECT_EQ(StateOf(Node("tokenizer")), StageState::kReused);
  EXPECT_FALSE(Sent<cluster::Lease>().empty()) << "the tokens have begun";
}

TEST_F(JobRunTest, AClaimThatIsGivenUpIsTakenOver) {
  busy_["of tokenizer"] = "job other (pid 3 on far)";
  Begin();
  Told();
  busy_.clear();
  PassMs(kClaimPollMs);
  Settle();
  EXPECT_THAT(Told(), HasSubstr("tokenizer: job other (pid 3 on far) has ended or has given it up; "
                                "this job goes on with it\n"));
  const auto leases = Sent<cluster::Lease>();
  ASSERT_EQ(leases.size(), 1u);
  EXPECT_EQ(leases[0].second.fence >> 32, kClaim);
}

TEST_F(JobRunTest, AStopEndsTheWaitForAnotherJob) {
  busy_["of tokenizer"] = "job other (pid 3 on far)";
  Begin();
  Stop();
  EXPECT_TRUE(Ended(absl::StatusCode::kAborted, "tokenizer is made by job other")) << HowItEnded();
}

TEST_F(JobRunTest, AGangThatAnotherJobTrainsDoesNotHoldUpThisJobsOther) {
  auto specs = TwoTexts(Spec());
  Begin(specs);
  const auto gangs = NodesOf(StageKind::kAutoencoder);
  ASSERT_EQ(gangs.size(), 2u);
  busy_["of " + Label(gangs[0])] = "job other (pid 3 on far)";
  FinishTasks();
  EXPECT_EQ(Only<effect::PrepareLaunch>().stage, gangs[1]);
  busy_.clear();
  PassMs(kClaimPollMs);
  Settle();
  EXPECT_TRUE(All<effect::PrepareLaunch>().empty()) << "one gang at a time";
}

TEST_F(JobRunTest, AStageThatFailsGivesItsClaimUp) {
  Begin();
  const auto leases = Sent<cluster::Lease>();
  From(leases[0].first,
       cluster::TaskFailed{leases[0].second.task, leases[0].second.fence,
                           static_cast<int>(absl::StatusCode::kInvalidArgument), "no text"});
  EXPECT_EQ(Only<effect::ReleaseStage>().stage, Node("tokenizer"));
}

TEST_F(JobRunTest, AFailureInterruptsTheOtherStages) {
  limits_.agents = 4;
  Begin(TwoTexts(Spec()));
  const auto leases = Sent<cluster::Lease>();
  const auto tokenizers = NodesOf(StageKind::kTokenizer);
  From(leases[1].first,
       cluster::TaskFailed{leases[1].second.task, leases[1].second.fence,
                           static_cast<int>(absl::StatusCode::kInvalidArgument), "no text"});
  EXPECT_EQ(StateOf(tokenizers[0]), StageState::kInterrupted);
  EXPECT_EQ(StateOf(tokenizers[1]), StageState::kFailed);
  PassMs(kAgentEndMsMax);
  EXPECT_TRUE(Ended(absl::StatusCode::kInvalidArgument, Label(tokenizers[1]) + ": "))
      << HowItEnded();
}

TEST_F(JobRunTest, AFailureEndsAStageThatIsBeingPrepared) {
  limits_.agents = 4;
  const auto variants = TwoTexts(Spec());
  run_ = std::make_unique<JobRun>(jobs::StageGraph(variants), limits_);
  run_->Start();
  Happen(event::JobChecked{});
  const auto tokenizers = NodesOf(StageKind::kTokenizer);
  Happen(event::StageFound{tokenizers[0], Found("a")});
  Happen(event::StageFound{tokenizers[1], Found("b")});
  Happen(event::StagePrepared{tokenizers[0], DataLoss("damaged")});
  EXPECT_FALSE(run_->end()) << "the other's preparation is under way";
  Happen(event::StagePrepared{tokenizers[1], Prepared(tokenizers[1])});
  EXPECT_EQ(StateOf(tokenizers[1]), StageState::kInterrupted);
  EXPECT_TRUE(Ended(absl::StatusCode::kDataLoss, "damaged")) << HowItEnded();
}

}  // namespace
}  // namespace halcyon::coordinator
