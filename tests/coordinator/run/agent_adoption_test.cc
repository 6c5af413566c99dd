// Agents of an earlier coordinator: which go on, and what becomes of their leases.
#include <gmock/gmock.h>

#include "coordinator/run/task_fence.h"
#include "tests/coordinator/run_fixture.h"

namespace halcyon::coordinator {
namespace {

using jobs::StageState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const WorkerId kAnna{"agent-0", 5}, kBert{"agent-1", 6};

class AgentAdoptionTest : public JobRunTest {
 protected:
  AgentAdoptionTest() {
    made_ = {"of tokenizer"};
    earlier_agents_ = {{.id = kAnna}};
  }

  static Fence Lease(uint64_t number, uint64_t claim = kClaim - 1) {
    return TaskFence(claim, number);
  }
  static cluster::Hello HelloWith(const std::string& task, Fence fence) {
    cluster::Hello hello{"agent", "tokens", 0, 12, 34, ""};
    hello.fingerprint = "of tokens";
    hello.task = task;
    hello.fence = fence.value();
    return hello;
  }
  static cluster::TaskDone DoneOf(const std::string& task, Fence fence) {
    return {task, fence.value(), nlohmann::json::object()};
  }
  // Every lease that was granted since the last call: "tokens/0 to agent-1".
  std::vector<std::string> Granted() {
    std::vector<std::string> granted;
    for (const auto& [worker, lease] : Sent<cluster::Lease>()) {
      granted.push_back(lease.task + " to " + worker.name);
      fences_[lease.task] = Fence(lease.fence);
    }
    return granted;
  }
  std::vector<Fence> Ingested() {
    std::vector<Fence> fences;
    for (const auto& ingest : All<effect::Ingest>()) {
      fences.push_back(ingest.fence);
      Happen(event::Ingested{ingest.stage, ingest.fence, absl::OkStatus()});
    }
    return fences;
  }

  // The agent comes with the lease of the first task of the second of two texts' tokens, whose
  // number the first text's could have next. Returns what the two are called.
  std::vector<std::string> BeginWithALeaseOfTheSecondText() {
    const auto variants = TwoTexts(Spec());
    std::vector<std::string> tokens;
    const jobs::StageGraph graph(variants);
    for (const jobs::StageNode& node : graph.nodes()) {
      if (node.kind == jobs::StageKind::kTokenizer) made_.insert("of " + node.label);
      if (node.kind == jobs::StageKind::kTokens) tokens.push_back(node.label);
    }
    claims_["of " + tokens[1]] = kClaim + 1;
    Begin(variants);
    cluster::Hello hello = HelloWith(tokens[1] + "/0", Lease(1, kClaim));
    hello.fingerprint = "of " + tokens[1];
    From(kAnna, hello);
    return tokens;
  }

  std::map<std::string, Fence> fences_;  // of the last grant of each task
};

TEST_F(AgentAdoptionTest, AnAgentThatComesGoesOnWithItsTask) {
  Begin();
  EXPECT_FALSE(Has<effect::PrepareStage>()) << "its files would be removed";
  EXPECT_FALSE(Has<effect::StartAgent>());
  From(kAnna, HelloWith("tokens/2", Lease(3)));
  EXPECT_THAT(Sent<cluster::Welcome>(), SizeIs(1));
  const auto prepare = Only<effect::PrepareStage>();
  EXPECT_THAT(prepare.leases, ElementsAre(Lease(3)));
  Happen(event::StagePrepared{prepare.stage, Prepared(prepare.stage)});
  Settle();
  EXPECT_THAT(agents_, SizeIs(1)) << "the other one alone is started";
  EXPECT_THAT(Granted(), ElementsAre("tokens/0 to agent-1"));
  From(kAnna, cluster::TaskProgress{"tokens/2", Lease(3).value(), 0.5});
  From(kAnna, DoneOf("tokens/2", Lease(3)));
  EXPECT_THAT(Ingested(), ElementsAre(Lease(3)));
  From(kAnna, cluster::Ready{Lease(3).value()});
  EXPECT_THAT(Granted(), ElementsAre("tokens/1 to agent-0"));
  EXPECT_EQ(ClaimOf(fences_["tokens/1"]), kClaim);
  From(agents_[0], DoneOf("tokens/0", fences_["tokens/0"]));
  From(agents_[0], cluster::Ready{fences_["tokens/0"].value()});
  EXPECT_THAT(Granted(), ElementsAre("tokens/3 to agent-1"));
  From(agents_[0], DoneOf("tokens/3", fences_["tokens/3"]));
  From(kAnna, DoneOf("tokens/1", fences_["tokens/1"]));
  EXPECT_THAT(Ingested(), SizeIs(3));
  EXPECT_TRUE(Has<effect::Install>());
}

TEST_F(AgentAdoptionTest, AResultThatWasKeptIsCommittedOnce) {
  Begin();
  From(kAnna, HelloWith("tokens/0", Lease(3)));
  From(kAnna, DoneOf("tokens/0", Lease(3)));
  From(kAnna, cluster::Ready{Lease(3).value()});
  EXPECT_FALSE(Has<effect::Ingest>()) << "the stage is not prepared yet";
  Settle();
  EXPECT_THAT(Ingested(), ElementsAre(Lease(3)));
  From(kAnna, DoneOf("tokens/0", Lease(3)));
  EXPECT_THAT(Ingested(), IsEmpty());
  EXPECT_THAT(Granted(), ElementsAre("tokens/1 to agent-0", "tokens/2 to agent-1"));
}

TEST_F(AgentAdoptionTest, TasksWaitForThoseThatHaveNotComeUntilTheTimeIsUp) {
  earlier_agents_.push_back({.id = kBert});
  Begin();
  PassMs(1);
  From(kBert, HelloWith("tokens/1", Lease(4)));
  PassMs(kAgentComesMsMax - 1);
  EXPECT_FALSE(Has<effect::PrepareStage>());
  PassMs(1);
  Settle();
  EXPECT_THAT(Told(), HasSubstr("agent-0 has not come back"));
  EXPECT_EQ(All<effect::EndAgent>().at(0).agent, kAnna);
  EXPECT_EQ(All<effect::Forget>().at(0).worker, kAnna);
  ASSERT_THAT(agents_, SizeIs(1));
  EXPECT_EQ(agents_[0].name, "agent-0");
  EXPECT_NE(agents_[0].incarnation, kAnna.incarnation);
  EXPECT_THAT(Granted(), ElementsAre("tokens/0 to agent-0")) << "agent-1 has its own";
  // It comes when its task is another's.
  From(kAnna, HelloWith("tokens/0", Lease(3)));
  EXPECT_EQ(Only<effect::Forget>().worker, kAnna);
  From(kAnna, DoneOf("tokens/0", Lease(3)));
  EXPECT_THAT(Ingested(), IsEmpty());
}

TEST_F(AgentAdoptionTest, AfterAPauseTheyHaveTheWholeTimeAgain) {
  Begin();
  PassMs(1);
  now_ms_ += kAgentComesMsMax;
  Happen(event::Paused{});
  PassMs(1);
  PassMs(kAgentComesMsMax - 1);
  EXPECT_FALSE(Has<effect::PrepareStage>());
  PassMs(1);
  EXPECT_TRUE(Has<effect::PrepareStage>());
}

TEST_F(AgentAdoptionTest, OneThatHasEndedIsNotWaitedForAndDoesNotCount) {
  limits_.restarts_max = 0;
  Begin();
  Happen(event::AgentEnded{kAnna, Unavailable("it has ended"), absl::OkStatus()});
  Settle();
  EXPECT_THAT(agents_, SizeIs(2));
  EXPECT_THAT(Granted(), SizeIs(2));
  EXPECT_FALSE(run_->end()) << HowItEnded();
}

TEST_F(AgentAdoptionTest, AnotherProcessIsNotTakenForIt) {
  earlier_agents_[0].process = ProcessIdentity{12, 33};
  Begin();
  From(kAnna, HelloWith("tokens/2", Lease(3)));
  EXPECT_THAT(Sent<cluster::Welcome>(), IsEmpty());
  EXPECT_THAT(Only<effect::PrepareStage>().leases, IsEmpty());
}

TEST_F(AgentAdoptionTest, TheProcessOnRecordIs) {
  earlier_agents_[0].process = ProcessIdentity{12, 34};
  Begin();
  From(kAnna, HelloWith("tokens/2", Lease(3)));
  EXPECT_THAT(Sent<cluster::Welcome>(), SizeIs(1));
}

// The earlier coordinator had lost the first one, and given its task to the other.
TEST_F(AgentAdoptionTest, OfTwoLeasesOfATaskTheLaterCounts) {
  earlier_agents_.push_back({.id = kBert});
  Begin();
  From(kAnna, HelloWith("tokens/2", Lease(3)));
  From(kBert, HelloWith("tokens/2", Lease(9)));
  Settle();
  From(kAnna, DoneOf("tokens/2", Lease(3)));
  From(kAnna, cluster::Ready{Lease(3).value()});
  PassMs(50);
  EXPECT_THAT(Ingested(), IsEmpty());
  EXPECT_THAT(Granted(), ElementsAre("tokens/0 to agent-0"));
  From(kBert, DoneOf("tokens/2", Lease(9)));
  EXPECT_THAT(Ingested(), ElementsAre(Lease(9)));
}

TEST_F(AgentAdoptionTest, ALeaseThatNoEarlierClaimCanHaveGrantedIsVoid) {
  Begin();
  From(kAnna, HelloWith("tokens/2", Lease(1, kClaim)));
  Settle();
  PassMs(50);
  Settle();
  EXPECT_EQ(Only<effect::EndAgent>().agent, kAnna);
  EXPECT_THAT(Granted(), SizeIs(2));
}

TEST_F(AgentAdoptionTest, AFailureIsNotTakenOver) {
  Begin();
  From(kAnna, HelloWith("tokens/2", Lease(3)));
  // It may be of a full disk that has room now.
  From(kAnna, cluster::TaskFailed{"tokens/2", Lease(3).value(),
                                  static_cast<int>(absl::StatusCode::kResourceExhausted), "full"});
  From(kAnna, cluster::Ready{Lease(3).value()});
  Settle();
  PassMs(50);
  EXPECT_FALSE(run_->end()) << HowItEnded();
  EXPECT_THAT(Granted(), ElementsAre("tokens/0 to agent-1", "tokens/1 to agent-0"));
}

// The tokens, which were there, are made again.
TEST_F(AgentAdoptionTest, NoneWaitsForAStageWhileOneBeforeItNeedsAgents) {
  Begin();
  cluster::Hello hello = HelloWith("latents/0", Lease(3));
  hello.stage = "latents";
  hello.fingerprint = "of latents";
  From(kAnna, hello);
  From(kAnna, DoneOf("latents/0", Lease(3)));
  From(kAnna, cluster::Ready{Lease(3).value()});
  Settle();
  PassMs(50);
  EXPECT_THAT(Granted(), ElementsAre("tokens/0 to agent-1", "tokens/1 to agent-0"));
}

TEST_F(AgentAdoptionTest, OneThatIsAtWorkForAStageThatIsMadeIsStartedAgain) {
  made_ = {"of tokenizer", "of tokens", "of autoencoder"};
  Begin();
  From(kAnna, HelloWith("tokens/2", Lease(3)));
  PassMs(50);
  Settle();
  EXPECT_EQ(Only<effect::EndAgent>().agent, kAnna);
  EXPECT_THAT(Granted(), ElementsAre("latents/0 to agent-0", "latents/1 to agent-1"));
}

TEST_F(AgentAdoptionTest, OneThatHasAResultOfAStageThatIsMadeIsReady) {
  made_ = {"of tokenizer", "of tokens", "of autoencoder"};
  Begin();
  From(kAnna, HelloWith("tokens/2", Lease(3)));
  From(kAnna, DoneOf("tokens/2", Lease(3)));
  From(kAnna, cluster::Ready{Lease(3).value()});
  PassMs(50);
  Settle();
  EXPECT_FALSE(Has<effect::EndAgent>());
  EXPECT_THAT(Ingested(), IsEmpty());
  EXPECT_THAT(Granted(), ElementsAre("latents/0 to agent-0", "latents/1 to agent-1"));
}

// Of two texts with the same tokens; the task of the lease is done already.
TEST_F(AgentAdoptionTest, AStageThatWaitsForTheOneThatMakesTheSameTakesNothingOver) {
  const auto variants = TwoTexts(Spec());
  const jobs::StageGraph graph(variants);
  for (const jobs::StageNode& node : graph.nodes()) {
    fingerprints_[node.label] = "of " + std::string(jobs::StageName(node.kind));
  }
  limits_.agents = 1;
  Begin(variants);
  From(kAnna, HelloWith("tokens/done", Lease(3)));
  From(kAnna, DoneOf("tokens/done", Lease(3)));
  From(kAnna, cluster::Ready{Lease(3).value()});
  Settle();
  PassMs(50);
  EXPECT_THAT(Granted(), ElementsAre(HasSubstr("/0 to agent-0"))) << "it is free";
}

// The upper half counts the claims of one stage: those of another may have come to the same number.
TEST_F(AgentAdoptionTest, AGrantHasNoNumberOfALeaseThatIsAdopted) {
  const std::vector<std::string> tokens = BeginWithALeaseOfTheSecondText();
  Settle();
  EXPECT_THAT(Granted(), ElementsAre(tokens[0] + "/0 to agent-1"));
  EXPECT_EQ(fences_[tokens[0] + "/0"], TaskFence(kClaim, 2));
  From(kAnna, DoneOf(tokens[1] + "/0", Lease(1, kClaim)));
  EXPECT_THAT(Ingested(), ElementsAre(Lease(1, kClaim)));
}

// The stage of the lease is prepared last.
TEST_F(AgentAdoptionTest, AGrantHasNoNumberOfALeaseThatIsNotDecidedYet) {
  const std::vector<std::string> tokens = BeginWithALeaseOfTheSecondText();
  const auto prepare = All<effect::PrepareStage>();
  ASSERT_THAT(prepare, SizeIs(2));
  Happen(event::StagePrepared{prepare[0].stage, Prepared(prepare[0].stage)});
  Settle();
  EXPECT_THAT(Granted(), ElementsAre(tokens[0] + "/0 to agent-1"));
  Happen(event::StagePrepared{prepare[1].stage, Prepared(prepare[1].stage)});
  From(kAnna, DoneOf(tokens[1] + "/0", Lease(1, kClaim)));
  EXPECT_THAT(Ingested(), ElementsAre(Lease(1, kClaim))) << "the lease was taken over";
}

TEST_F(AgentAdoptionTest, AnAdoptedAgentThatDiesGivesItsTaskBack) {
  Begin();
  From(kAnna, HelloWith("tokens/0", Lease(3)));
  Settle();
  Granted();
  Happen(event::AgentEnded{kAnna, Unavailable("it has ended"), absl::OkStatus()});
  From(agents_[0], DoneOf("tokens/1", fences_["tokens/1"]));
  From(agents_[0], cluster::Ready{fences_["tokens/1"].value()});
  EXPECT_THAT(Granted(), ElementsAre("tokens/0 to agent-1"));
  EXPECT_GT(fences_["tokens/0"], Lease(3));
  Ingested();
  From(kAnna, DoneOf("tokens/0", Lease(3)));
  EXPECT_THAT(Ingested(), IsEmpty()) << "late";
}

// A stage that is prepared would remove what they have made.
TEST_F(AgentAdoptionTest, AStopNeitherWaitsForThemNorTouchesTheirFiles) {
  Begin();
  Stop();
  PassMs(kAgentEndMsMax);
  EXPECT_FALSE(Has<effect::PrepareStage>());
  EXPECT_TRUE(Ended(absl::StatusCode::kAborted, "tokens: stopped; it has not begun"))
      << HowItEnded();
  EXPECT_EQ(Only<effect::EndAgent>().agent, kAnna);
}

TEST_F(AgentAdoptionTest, OneThatIsLostIsEndedBeforeWhatItHasMadeIsRemoved) {
  Begin();
  PassMs(1);
  PassMs(kAgentComesMsMax);
  std::vector<std::string> order;
  for (const Effect& effect : effects_) {
    if (std::holds_alternative<effect::EndAgent>(effect)) order.push_back("end");
    if (std::holds_alternative<effect::PrepareStage>(effect)) order.push_back("prepare");
  }
  EXPECT_THAT(order, ElementsAre("end", "prepare"));
}

TEST_F(AgentAdoptionTest, AGangDoesNotWaitForThem) {
  made_ = {"of tokenizer", "of tokens"};
  Begin();
  EXPECT_EQ(StateOf(Node("autoencoder")), StageState::kRunning);
  EXPECT_TRUE(Has<effect::PrepareLaunch>());
}

TEST_F(AgentAdoptionTest, AnAgentThatFloodsBeforeItsLeaseIsDecidedIsEnded) {
  earlier_agents_.push_back({.id = kBert});
  Begin();
  From(kAnna, HelloWith("tokens/0", Lease(3)));
  for (int i = 0; i < 20; ++i) From(kAnna, cluster::Ready{Lease(3).value()});
  From(kBert, HelloWith("", Fence(0)));
  Settle();
  EXPECT_EQ(Only<effect::EndAgent>().agent, kAnna);
}

}  // namespace
}  // namespace halcyon::coordinator
