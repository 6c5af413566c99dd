// A worker whose coordinator is gone, and the coordinators that come after it.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "cluster/coordinator_link.h"
#include "cluster/in_memory_transport.h"
#include "tests/cluster/stream_end.h"
#include "tests/testing/shared_clock.h"

namespace halcyon::cluster {
namespace {

constexpr int64_t kPatienceMs = 20'000;
constexpr int64_t kGraceMs = 60'000;
const Hello kHello{"agent", "", 0, 12, 34, "boot"};
StageAssignment Tokens() {
  StageAssignment assignment;
  assignment.stage = "tokens";
  assignment.fingerprint = "f00";
  return assignment;
}
const Lease kLease{"tokens/1", 4, Tokens(), {}};

// The test takes the part of the coordinators 5, 6, ..., each on a network of its own.
class OrphanTest : public ::testing::Test {
 protected:
  struct Coordinator {
    InMemoryNetwork network;
    std::unique_ptr<ServerTransport> server;
    std::unique_ptr<StreamEnd<ServerTransport>> end;
  };

  OrphanTest() {
    Begin(&first_, 5);
    link_ = CoordinatorLink::StartWith(
        first_.network.Connect(worker_),
        {.identity = {job_, worker_, Incarnation(5)},
         .orphan_grace_ms = kGraceMs,
         .on_lost = [this] { ++losses_; }},
        [this](Incarnation last) { return FindNext(last); }, &clock_);
  }
  void Begin(Coordinator* coordinator, uint64_t incarnation) {
    coordinator->server = coordinator->network.Bind();
    coordinator->end = std::make_unique<StreamEnd<ServerTransport>>(
        coordinator->server.get(), job_, worker_, Incarnation(incarnation));
  }
  absl::StatusOr<std::optional<CoordinatorLink::Connection>> FindNext(Incarnation last) {
    ++looked_;
    if (!next_is_there_ || last >= Incarnation(6)) return std::nullopt;
    return CoordinatorLink::Connection{Incarnation(6), next_.network.Connect(worker_)};
  }

  // The next message of the worker to that coordinator; heartbeats are passed over.
  Body NextTo(Coordinator* coordinator) {
    while (true) {
      const auto received = coordinator->end->Receive(kPatienceMs);
      if (!received.ok() || !received->has_value()) {
        ADD_FAILURE() << "nothing came from the worker";
        return Body{};
      }
      if (!std::holds_alternative<Alive>((**received).body)) return (**received).body;
    }
  }
  void Send(Coordinator* coordinator, Body body) {
    ASSERT_TRUE(coordinator->end->Send(std::move(body)).ok());
  }
  // Moves the clock in steps, each seen by the link, which sends a heartbeat in each.
  void PassUntil(const std::function<bool()>& condition) {
    // A heartbeat from before would pass for that of the first step.
    while (first_.end->Receive(0)->has_value()) continue;
    for (int step = 0; !condition() && step < 200; ++step) {
      clock_.SleepMs(kHeartbeatIntervalMs);
      Clock::Real()->WaitFor([&] { return condition() || first_.end->Receive(0)->has_value(); },
                             kPatienceMs);
    }
  }
  void LoseFirst() {
    PassUntil([this] { return looked_ > 0; });
    ASSERT_GT(looked_, 0);
  }

  const JobId job_{"job"};
  const WorkerId worker_{"agent-0", 3};
  testing::SharedClock clock_;
  Coordinator first_, next_;
  std::atomic<int> losses_ = 0, looked_ = 0;
  std::atomic<bool> next_is_there_ = false;
  std::unique_ptr<CoordinatorLink> link_;
};

TEST_F(OrphanTest, EndsWhenAnotherDoesItsWork) {
  std::atomic<bool> is_superseded = false;
  link_->SetSuperseded([&] { return is_superseded.load(); });
  LoseFirst();
  EXPECT_EQ(losses_, 0);
  is_superseded = true;
  PassUntil([this] { return losses_ > 0; });
  EXPECT_EQ(losses_, 1);
  EXPECT_LT(clock_.MonotonicMs(), kGraceMs);
}

// It has told how it ended, and waits for a coordinator that hears it.
TEST_F(OrphanTest, WaitsForNobodyWhenAnotherDoesItsWork) {
  ASSERT_TRUE(link_->Send(kHello).ok());
  LoseFirst();
  link_->SetSuperseded([] { return true; });
  std::atomic<bool> has_left = false;
  std::thread leaving([&] {
    link_.reset();
    has_left = true;
  });
  PassUntil([&] { return has_left.load(); });
  leaving.join();
  EXPECT_LT(clock_.MonotonicMs(), kGraceMs);
}

TEST_F(OrphanTest, GoesOnAndTellsTheNextCoordinatorWhatItWorksOn) {
  ASSERT_TRUE(link_->Send(kHello).ok());
  ASSERT_TRUE(link_->Send(Ready{}).ok());
  EXPECT_EQ(NextTo(&first_), Body(kHello));
  EXPECT_EQ(NextTo(&first_), Body(Ready{}));
  Send(&first_, kLease);
  ASSERT_TRUE(link_->Receive(kPatienceMs).has_value());
  LoseFirst();
  EXPECT_EQ(losses_, 0);
  EXPECT_FALSE(link_->stop_requested());
  // What is finished meanwhile is kept.
  ASSERT_TRUE(link_->Send(TaskDone{"tokens/1", 4, {}}).ok());
  ASSERT_TRUE(link_->Send(Ready{4}).ok());
  Begin(&next_, 6);
  next_is_there_ = true;
  PassUntil([this] { return looked_ > 1; });
  Hello expected = kHello;
  expected.stage = "tokens";
  expected.fingerprint = "f00";
  expected.task = "tokens/1";
  expected.fence = 4;
  EXPECT_EQ(NextTo(&next_), Body(expected));
  EXPECT_EQ(NextTo(&next_), Body(TaskDone{"tokens/1", 4, {}}));
  EXPECT_EQ(NextTo(&next_), Body(Ready{4}));
  Lease other = kLease;
  other.fence = 9;
  Send(&next_, other);
  EXPECT_EQ(link_->Receive(kPatienceMs)->body, Body(other));
  EXPECT_EQ(losses_, 0);
}

TEST_F(OrphanTest, EndsWhenTheGraceHasPassed) {
  LoseFirst();
  PassUntil([this] { return losses_ > 0; });
  EXPECT_EQ(losses_, 1);
  EXPECT_GE(looked_, 30) << "it looks about once a second";
  EXPECT_LE(looked_, 70);
}

TEST_F(OrphanTest, ACoordinatorThatComesBackIsStillItsOwn) {
  LoseFirst();
  Send(&first_, CoordinatorAlive{});
  Send(&first_, kLease);
  EXPECT_EQ(link_->Receive(kPatienceMs)->body, Body(kLease));
  EXPECT_EQ(losses_, 0);
}

TEST_F(OrphanTest, OneThatIsNotTakenOverEndsAtOnce) {
  ASSERT_TRUE(link_->Send(kHello).ok());
  LoseFirst();
  Begin(&next_, 6);
  next_is_there_ = true;
  EXPECT_EQ((PassUntil([this] { return looked_ > 1; }), NextTo(&next_)), Body(kHello));
  Send(&next_, Stop{"another is at work", /*end_now=*/true});
  EXPECT_TRUE(Clock::Real()->WaitFor([this] { return losses_ > 0; }, kPatienceMs));
}

TEST_F(OrphanTest, AResultWaitsForTheNextCoordinatorAlsoAtTheEnd) {
  ASSERT_TRUE(link_->Send(kHello).ok());
  LoseFirst();
  ASSERT_TRUE(link_->Send(RankEnded{"model", 0, 0, "", {}}).ok());
  std::atomic<bool> ended = false;
  std::thread ending([&] {
    link_.reset();
    ended = true;
  });
  Begin(&next_, 6);
  next_is_there_ = true;
  PassUntil([this] { return looked_ > 1; });
  EXPECT_EQ(NextTo(&next_), Body(kHello));
  EXPECT_EQ(NextTo(&next_), Body(RankEnded{"model", 0, 0, "", {}}));
  EXPECT_FALSE(ended);
  Send(&next_, CoordinatorAlive{});
  ending.join();
  EXPECT_EQ(losses_, 0);
}

}  // namespace
}  // namespace halcyon::cluster
