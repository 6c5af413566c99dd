#include "cluster/coordinator_link.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/env.h"
#include "cluster/contact.h"
#include "cluster/in_memory_transport.h"
#include "cluster/work_progress.h"
#include "tests/cluster/stream_end.h"
#include "tests/testing/shared_clock.h"

namespace halcyon::cluster {
namespace {

constexpr int64_t kPatienceMs = 20'000;

Lease LeaseOf(const std::string& task) { return {task, 4, {}, {}}; }
RankEnded EndOf(const std::string& stage) { return {stage, 0, 0, "", {}}; }
const Hello kHello{"agent", "", 0, 12, 34, "boot"};

// The test takes the coordinator's part.
class CoordinatorLinkTest : public ::testing::Test {
 protected:
  CoordinatorLinkTest() : server_(network_.Bind()) {}
  // The link's end waits for its acknowledgements.
  void TearDown() override {
    if (link_ == nullptr || losses_ > 0) return;
    std::atomic<bool> ended = false;
    std::thread ending([&] {
      link_.reset();
      ended = true;
    });
    while (!ended) {
      coordinator_.Receive(1).IgnoreError();
      EXPECT_TRUE(coordinator_.Send(CoordinatorAlive{}).ok());
    }
    ending.join();
  }

  void Start(int64_t orphan_grace_ms = 0, CoordinatorLink::FindNext find_next = nullptr) {
    link_ = CoordinatorLink::StartWith(network_.Connect(identity_.worker), Options(orphan_grace_ms),
                                       std::move(find_next), &clock_);
  }
  CoordinatorLink::Options Options(int64_t orphan_grace_ms = 0) {
    return {.identity = identity_, .orphan_grace_ms = orphan_grace_ms, .on_lost = [this] {
              ++losses_;
            }};
  }

  // The next message of the worker; heartbeats are passed over unless asked for.
  Body NextFromWorker(bool heartbeats = false) {
    while (true) {
      auto received = coordinator_.Receive(kPatienceMs);
      if (!received.ok() || !received->has_value()) {
        ADD_FAILURE() << "nothing came from the worker";
        return Body{};
      }
      const Message& message = **received;
      EXPECT_EQ(message.job, identity_.job);
      EXPECT_EQ(message.worker, identity_.worker);
      EXPECT_EQ(message.incarnation, identity_.incarnation);
      if (heartbeats == std::holds_alternative<Alive>(message.body)) return message.body;
    }
  }

  void Send(Body body) { ASSERT_TRUE(coordinator_.Send(std::move(body)).ok()); }
  // As a coordinator of another incarnation, which has streams of its own.
  void SendAs(uint64_t incarnation, Body body) {
    ASSERT_TRUE(server_
                    ->Send({identity_.job, identity_.worker, Incarnation(incarnation),
                            std::move(body), /*sequence=*/1})
                    .ok());
  }

  // Returns when the link has handled all that was sent before and looked at the clock since.
  void Settle() {
    for (int round = 0; round < 2; ++round) {
      Send(LeaseOf("settle"));
      ASSERT_TRUE(link_->Receive(kPatienceMs).has_value());
    }
  }

  // Moves the clock as a process that runs sees it: in steps, each but the last seen by the link.
  void Pass(int64_t duration_ms) {
    // A heartbeat from before would pass for that of the first step.
    while (coordinator_.Receive(0)->has_value()) continue;
    for (; duration_ms > kHeartbeatIntervalMs; duration_ms -= kHeartbeatIntervalMs) {
      clock_.SleepMs(kHeartbeatIntervalMs);
      NextFromWorker(/*heartbeats=*/true);
    }
    clock_.SleepMs(duration_ms);
  }

  bool BecomesLost() {
    return Clock::Real()->WaitFor([&] { return losses_ > 0; }, kPatienceMs);
  }

  const CoordinatorLink::Identity identity_{JobId("job"), WorkerId{"agent-0", 3}, Incarnation(5)};
  testing::SharedClock clock_;
  InMemoryNetwork network_;
  std::unique_ptr<ServerTransport> server_;
  StreamEnd<ServerTransport> coordinator_{server_.get(), identity_.job, identity_.worker,
                                          identity_.incarnation};
  std::atomic<int> losses_ = 0;
  std::unique_ptr<CoordinatorLink> link_;
};

TEST_F(CoordinatorLinkTest, SendsInOrder) {
  Start();
  EXPECT_TRUE(link_->Send(kHello).ok());
  EXPECT_TRUE(link_->Send(Ready{}).ok());
  EXPECT_EQ(NextFromWorker(), Body(kHello));
  EXPECT_EQ(NextFromWorker(), Body(Ready{}));
}

TEST_F(CoordinatorLinkTest, SendsAHeartbeatWithItsActivityAtEachInterval) {
  Start();
  EXPECT_EQ(NextFromWorker(true), Body(Alive{}));
  link_->SetActivity([] { return Activity{"step 1"}; });
  Settle();
  clock_.SleepMs(kHeartbeatIntervalMs - 1);
  Settle();
  EXPECT_FALSE(server_->Receive(0)->has_value());
  clock_.SleepMs(1);
  EXPECT_EQ(NextFromWorker(true), Body(Alive{{"step 1"}}));
  Settle();
  EXPECT_FALSE(server_->Receive(0)->has_value());
}

TEST_F(CoordinatorLinkTest, AsksForTheActivityAtEachBeat) {
  Start();
  EXPECT_EQ(NextFromWorker(true), Body(Alive{}));
  std::atomic<int> asked = 0;
  link_->SetActivity([&] { return Activity{"forward", std::to_string(++asked)}; });
  const auto next_beat = [&] {
    Settle();
    clock_.SleepMs(kHeartbeatIntervalMs);
    return NextFromWorker(true);
  };
  EXPECT_EQ(next_beat(), Body(Alive{{"forward", "1"}}));
  EXPECT_EQ(next_beat(), Body(Alive{{"forward", "2"}}));
  link_->SetActivity(nullptr);
  EXPECT_EQ(next_beat(), Body(Alive{}));
  EXPECT_EQ(asked, 2);
}

// A process that was stopped did not hang: its work did not go on because nothing of it did.
TEST_F(CoordinatorLinkTest, APauseOfTheProcessDoesNotCountInTheAgeOfItsWork) {
  WorkProgress progress(&clock_);
  Start();
  link_->SetActivity([&] { return progress.Now(); });
  NextFromWorker(true);
  Settle();
  const auto age_ms = [&] { return std::get<Alive>(NextFromWorker(true)).activity.age_ms; };
  clock_.SleepMs(kHeartbeatIntervalMs);
  EXPECT_EQ(age_ms(), kHeartbeatIntervalMs);
  clock_.SleepMs(60'000);
  age_ms();  // of a turn that began before the pause was noticed, or after it
  Settle();
  clock_.SleepMs(kHeartbeatIntervalMs);
  EXPECT_EQ(age_ms(), kHeartbeatIntervalMs);
  progress.Advance();
  Settle();
  clock_.SleepMs(kHeartbeatIntervalMs);
  EXPECT_EQ(age_ms(), kHeartbeatIntervalMs);
}

TEST_F(CoordinatorLinkTest, GivesLeasesAndWelcomesAndKeepsHeartbeatsInside) {
  Start();
  Send(Welcome{});
  Send(CoordinatorAlive{});
  Send(LeaseOf("tokens/1"));
  EXPECT_EQ(link_->Receive(kPatienceMs)->body, Body(Welcome{}));
  EXPECT_EQ(link_->Receive(kPatienceMs)->body, Body(LeaseOf("tokens/1")));
  EXPECT_FALSE(link_->Receive(0).has_value());
}

TEST_F(CoordinatorLinkTest, StopEndsAWaitingReceive) {
  Start();
  EXPECT_FALSE(link_->stop_requested());
  std::thread waiting([&] { EXPECT_FALSE(link_->Receive(1'000'000).has_value()); });
  Send(Stop{"enough"});
  waiting.join();
  EXPECT_TRUE(link_->stop_requested());
}

TEST_F(CoordinatorLinkTest, AStopDoesNotHideTheWelcomeBeforeIt) {
  Start();
  Send(Welcome{});
  Send(Stop{"enough"});
  while (!link_->stop_requested()) std::this_thread::yield();
  const auto welcome = link_->Receive(kPatienceMs);
  ASSERT_TRUE(welcome.has_value());
  EXPECT_EQ(welcome->body, Body(Welcome{}));
  EXPECT_FALSE(link_->Receive(kPatienceMs).has_value());
}

TEST_F(CoordinatorLinkTest, LosesACoordinatorThatNeverSends) {
  Start();
  NextFromWorker(true);
  EXPECT_EQ(losses_, 0);
  Pass(kHeartbeatTimeoutMs);
  EXPECT_TRUE(BecomesLost());
}

TEST_F(CoordinatorLinkTest, AnyMessageRestartsTheTimeout) {
  Start();
  for (int i = 0; i < 3; ++i) {
    Pass(kHeartbeatTimeoutMs - 1);
    Settle();
  }
  EXPECT_EQ(losses_, 0);
  Pass(kHeartbeatTimeoutMs - 1);
  Send(CoordinatorAlive{});
  Settle();
  EXPECT_EQ(losses_, 0);
  Pass(kHeartbeatTimeoutMs);
  EXPECT_TRUE(BecomesLost());
  link_.reset();
  EXPECT_EQ(losses_, 1);  // once
}

TEST_F(CoordinatorLinkTest, MessagesOfAnotherIncarnationDoNotCount) {
  Start();
  Settle();
  SendAs(6, LeaseOf("of another"));
  SendAs(4, Stop{});
  Settle();  // gets its own lease, not the other
  EXPECT_FALSE(link_->stop_requested());
  EXPECT_FALSE(link_->Receive(0).has_value());

  // Nor does it keep the link alive.
  Pass(kHeartbeatTimeoutMs - 1);
  SendAs(6, CoordinatorAlive{});
  clock_.SleepMs(1);
  EXPECT_TRUE(BecomesLost());
}

TEST_F(CoordinatorLinkTest, AWorkerThatWasStoppedRestartsTheTimeout) {
  Start();
  NextFromWorker(true);
  // As after SIGCONT: much time has passed, and nothing was read meanwhile.
  clock_.SleepMs(10 * kHeartbeatTimeoutMs);
  NextFromWorker(true);
  Pass(kHeartbeatTimeoutMs - 1);
  SendAs(6, CoordinatorAlive{});
  Settle();
  EXPECT_EQ(losses_, 0);
  Pass(kHeartbeatTimeoutMs);
  EXPECT_TRUE(BecomesLost());
}

TEST_F(CoordinatorLinkTest, RefusesAMessageThatIsTooLarge) {
  Start();
  const absl::Status status =
      link_->Send(TaskFailed{"t", 1, 3, std::string(kMessageBytesMax, 'x')});
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_TRUE(link_->Send(TaskFailed{"t", 1, 3, std::string(kMessageBytesMax / 2, 'x')}).ok());
}

TEST_F(CoordinatorLinkTest, MessagesThatOnlyWorkersSendAreDropped) {
  Start();
  Send(Ready{});
  Settle();
  EXPECT_FALSE(link_->Receive(0).has_value());
}

TEST_F(CoordinatorLinkTest, DestructorWaitsUntilAllIsReceived) {
  Start();
  for (uint64_t i = 0; i < 100; ++i) EXPECT_TRUE(link_->Send(TaskDone{"t", i, {}}).ok());
  std::atomic<bool> ended = false;
  std::thread ending([&] {
    link_.reset();
    ended = true;
  });
  for (uint64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(NextFromWorker(), Body(TaskDone{"t", i, {}}));
  }
  EXPECT_FALSE(ended) << "nothing is acknowledged yet";
  Send(CoordinatorAlive{});
  ending.join();
  EXPECT_EQ(losses_, 0);
}

TEST_F(CoordinatorLinkTest, SendsAgainWhatWasLostOnTheWay) {
  Start();
  NextFromWorker(true);
  network_.SetHook([](const Message& message) {
    return std::holds_alternative<TaskDone>(message.body) ? Delivery::kDrop : Delivery::kDeliver;
  });
  EXPECT_TRUE(link_->Send(TaskDone{"t", 1, {}}).ok());
  EXPECT_TRUE(link_->Send(Ready{1}).ok());
  Settle();
  EXPECT_FALSE(coordinator_.Receive(0)->has_value()) << "what comes behind the gap is not taken";
  network_.SetHook(nullptr);
  clock_.SleepMs(kResendAfterMs);
  Send(CoordinatorAlive{});
  EXPECT_EQ(NextFromWorker(), Body(TaskDone{"t", 1, {}}));
  EXPECT_EQ(NextFromWorker(), Body(Ready{1}));
}

TEST_F(CoordinatorLinkTest, WhatComesTwiceIsGivenOnce) {
  Start();
  Message lease{identity_.job, identity_.worker, identity_.incarnation, LeaseOf("tokens/1"),
                /*sequence=*/1};
  ASSERT_TRUE(server_->Send(lease).ok());
  ASSERT_TRUE(server_->Send(lease).ok());
  lease.sequence = 2;
  lease.body = LeaseOf("tokens/2");
  ASSERT_TRUE(server_->Send(lease).ok());
  EXPECT_EQ(link_->Receive(kPatienceMs)->body, Body(LeaseOf("tokens/1")));
  EXPECT_EQ(link_->Receive(kPatienceMs)->body, Body(LeaseOf("tokens/2")));
}

TEST_F(CoordinatorLinkTest, EndsWhenToldToEndAtOnce) {
  Start();
  NextFromWorker(true);
  Send(Stop{"it does not belong to the job any more", /*end_now=*/true});
  EXPECT_TRUE(BecomesLost());
}

TEST_F(CoordinatorLinkTest, SendsNoMoreProgressWhenNothingIsTakenIn) {
  Start();
  for (uint64_t i = 0; i < 5000; ++i) EXPECT_TRUE(link_->Send(TaskProgress{"t", 1, 0.5}).ok());
  EXPECT_TRUE(link_->Send(TaskDone{"t", 1, {}}).ok());
  size_t progress = 0;
  while (NextFromWorker() == Body(TaskProgress{"t", 1, 0.5})) ++progress;
  EXPECT_EQ(progress, 256u);
}

// Accepts no message at first, then fails.
class FailingTransport : public ClientTransport {
 public:
  FailingTransport(std::atomic<int>* sent, std::atomic<bool>* broken)
      : sent_(sent), broken_(broken) {}
  absl::Status Send(const Message& message) override {
    if (!std::holds_alternative<Ready>(message.body)) return absl::OkStatus();
    return ++*sent_ < 3 ? Unavailable("full") : absl::OkStatus();
  }
  absl::StatusOr<std::optional<Message>> Receive(int64_t) override {
    if (*broken_) return Internal("broken");
    return std::nullopt;
  }

 private:
  std::atomic<int>* sent_;
  std::atomic<bool>* broken_;
};

TEST_F(CoordinatorLinkTest, TriesAgainWhenTheQueueIsFullAndTreatsAFailureAsALoss) {
  std::atomic<int> sent = 0;
  std::atomic<bool> broken = false;
  link_ = CoordinatorLink::StartWith(std::make_unique<FailingTransport>(&sent, &broken), Options(),
                                     nullptr, &clock_);
  EXPECT_TRUE(link_->Send(Ready{}).ok());
  EXPECT_TRUE(Clock::Real()->WaitFor([&] { return sent == 3; }, kPatienceMs));
  EXPECT_EQ(losses_, 0) << "a full queue is no loss";
  broken = true;
  EXPECT_TRUE(BecomesLost());
  link_.reset();
  EXPECT_EQ(losses_, 1);
}

TEST_F(CoordinatorLinkTest, UsesZeroMqInPrograms) {
  const std::string folder = ::testing::TempDir() + "link_" + std::to_string(getpid());
  ASSERT_TRUE(Env::Posix()->CreateDirs(folder).ok());
  auto server = BindZmq({.endpoint = "ipc://" + folder + "/socket", .keys = std::nullopt});
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  coordinator_ = {server_.get(), identity_.job, identity_.worker, identity_.incarnation};
  const std::string contact = ContactFile(folder);
  ASSERT_TRUE(WriteContact(contact, {Incarnation(6), server_->endpoint(), ""}).ok());
  EXPECT_TRUE(absl::IsAborted(CoordinatorLink::Start(contact, Options()).status()));
  ASSERT_TRUE(WriteContact(contact, {identity_.incarnation, server_->endpoint(), ""}).ok());
  auto link = CoordinatorLink::Start(contact, Options());
  ASSERT_TRUE(link.ok()) << link.status();
  EXPECT_TRUE((*link)->Send(Ready{}).ok());
  EXPECT_EQ(NextFromWorker(), Body(Ready{}));
  Send(Stop{});
  EXPECT_FALSE((*link)->Receive(kPatienceMs).has_value());
  EXPECT_TRUE((*link)->stop_requested());
  EXPECT_TRUE((*link)->Send(EndOf("model")).ok());
  std::thread ending([&] { link->reset(); });
  EXPECT_EQ(NextFromWorker(), Body(EndOf("model")));
  Send(CoordinatorAlive{});
  ending.join();
  ASSERT_TRUE(Env::Posix()->RemoveTree(folder).ok());
}

}  // namespace
}  // namespace halcyon::cluster
