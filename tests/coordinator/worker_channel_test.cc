#include "coordinator/worker_channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>

#include "cluster/coordinator_link.h"
#include "cluster/in_memory_transport.h"
#include "tests/cluster/stream_end.h"
#include "tests/testing/shared_clock.h"

namespace halcyon::coordinator {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kPatienceMs = 20'000;
const WorkerId kRank{"model-rank-0", 1};
const WorkerId kAgent{"agent-0", 1};

class WorkerChannelTest : public ::testing::Test {
 protected:
  void SendFrom(const WorkerId& worker, cluster::Body body) {
    ASSERT_TRUE(Of(worker).Send(std::move(body)).ok());
  }
  cluster::StreamEnd<cluster::ClientTransport>& Of(const WorkerId& worker) {
    if (!clients_.contains(worker)) {
      clients_[worker] = network_.Connect(worker);
      ends_.emplace(worker, cluster::StreamEnd<cluster::ClientTransport>(
                                clients_[worker].get(), job_, worker, Incarnation(5)));
    }
    return ends_.at(worker);
  }
  // The clock moves on while the worker sends heartbeats, or does not.
  void PassWithHeartbeats(const WorkerId& worker, int64_t duration_ms, bool speaks) {
    for (; duration_ms > 0; duration_ms -= 500) {
      clock_.SleepMs(std::min<int64_t>(duration_ms, 500));
      if (speaks) SendFrom(worker, cluster::Alive{{"step 7"}});
      ASSERT_TRUE(channel_.Next(0).ok());
    }
  }

  const JobId job_{"job"};
  testing::SharedClock clock_;
  cluster::InMemoryNetwork network_;
  std::unique_ptr<cluster::ServerTransport> server_ = network_.Bind();
  std::map<WorkerId, std::unique_ptr<cluster::ClientTransport>> clients_;
  std::map<WorkerId, cluster::StreamEnd<cluster::ClientTransport>> ends_;
  WorkerChannel channel_{server_.get(), &clock_, job_, Incarnation(5)};
};

TEST_F(WorkerChannelTest, AMissingWorkerIsNoticedWhileAnotherSendsSteadily) {
  SendFrom(kRank, cluster::Hello{});
  SendFrom(kAgent, cluster::Hello{});
  ASSERT_TRUE(channel_.Next(0)->has_value());
  ASSERT_TRUE(channel_.Next(0)->has_value());
  for (int64_t passed_ms = 0; passed_ms < cluster::kHeartbeatTimeoutMs; passed_ms += 100) {
    EXPECT_TRUE(channel_.Suspects().empty()) << passed_ms;
    clock_.SleepMs(100);
    SendFrom(kAgent, cluster::TaskProgress{"tokens/1", 1, 0.5});
    // One message is taken, and the next is there already: the inbox is never empty.
    SendFrom(kAgent, cluster::TaskProgress{"tokens/1", 1, 0.6});
    ASSERT_TRUE(channel_.Next(0)->has_value());
  }
  ASSERT_EQ(channel_.Suspects().size(), 1u);
  EXPECT_EQ(channel_.Suspects()[0].worker, kRank);
  EXPECT_THAT(channel_.Suspects()[0].why, HasSubstr("stopped sending"));
  channel_.Forget(kRank);
  EXPECT_TRUE(channel_.Suspects().empty());
}

TEST_F(WorkerChannelTest, APauseOfThisProcessRestartsTheTimeouts) {
  SendFrom(kRank, cluster::Alive{{"step 7"}});
  ASSERT_TRUE(channel_.Next(0).ok());
  clock_.SleepMs(10 * cluster::kHeartbeatTimeoutMs);
  ASSERT_TRUE(channel_.Next(0).ok());
  EXPECT_TRUE(channel_.Suspects().empty());
  EXPECT_EQ(channel_.pauses(), 1);
  PassWithHeartbeats(kRank, cluster::kHeartbeatTimeoutMs - 500, /*speaks=*/false);
  EXPECT_TRUE(channel_.Suspects().empty());
  PassWithHeartbeats(kRank, 500, /*speaks=*/false);
  ASSERT_EQ(channel_.Suspects().size(), 1u) << "the timeout counts from the end of the pause";
  EXPECT_EQ(channel_.Suspects()[0].why, "stopped sending in step 7");
  EXPECT_EQ(channel_.pauses(), 1);
}

TEST_F(WorkerChannelTest, AWorkerThatSendsMoreThanIsReadIsNamedAndForgotten) {
  channel_.StartThread();
  for (size_t i = 0; i < kWaitingMessagesMax; ++i) SendFrom(kRank, cluster::Ready{});
  SendFrom(kAgent, cluster::Ready{});
  // The last of the agent's comes after all of the rank's.
  while ((**channel_.Next(kPatienceMs)).worker == kRank) SendFrom(kRank, cluster::Ready{});
  EXPECT_TRUE(channel_.Suspects().empty()) << "what is taken makes room";
  for (size_t i = 0; i <= kWaitingMessagesMax; ++i) SendFrom(kRank, cluster::Ready{});
  EXPECT_TRUE(Clock::Real()->WaitFor([&] { return !channel_.Suspects().empty(); }, kPatienceMs));
  EXPECT_EQ(channel_.Suspects()[0].worker, kRank);
  channel_.Forget(kRank);
  EXPECT_TRUE(channel_.Suspects().empty());
}

TEST_F(WorkerChannelTest, TheWaitingBytesOfAWorkerAreBounded) {
  const std::string mebibyte(1 << 20, 'x');
  channel_.StartThread();
  for (size_t i = 0; i < 2 * (kWaitingBytesMax >> 20); ++i) {
    SendFrom(kRank, cluster::TaskFailed{"tokens/1", 1, 3, mebibyte});
  }
  ASSERT_TRUE(Clock::Real()->WaitFor([&] { return !channel_.Suspects().empty(); }, kPatienceMs));
  const auto suspects = channel_.Suspects();
  EXPECT_EQ(suspects[0].worker, kRank);
  EXPECT_THAT(suspects[0].why, HasSubstr("sent more than"));
  size_t taken = 0;
  while (channel_.Next(0)->has_value()) ++taken;
  EXPECT_LT(taken, kWaitingBytesMax >> 20);
  EXPECT_GT(taken, 0u);
}

TEST_F(WorkerChannelTest, AfterADroppedMessageNoLaterOneIsTaken) {
  const std::string mebibyte(1 << 20, 'x');
  for (size_t i = 0; i <= kWaitingBytesMax >> 20; ++i) {
    SendFrom(kRank, cluster::TaskFailed{"tokens/1", 1, 3, mebibyte});
  }
  ASSERT_TRUE((*channel_.Next(0)).has_value());
  ASSERT_EQ(channel_.Suspects().size(), 1u);
  SendFrom(kRank, cluster::TaskFailed{"tokens/2", 1, 3, "after the gap"});
  while (const auto message = *channel_.Next(0)) {
    EXPECT_EQ(std::get<cluster::TaskFailed>(message->body).task, "tokens/1");
  }
}

// The coordinator's thread is blocked in an fsync; its heartbeats reach the workers all the same.
TEST_F(WorkerChannelTest, HeartbeatsGoOnWhileTheCoordinatorsThreadIsBlocked) {
  SendFrom(kRank, cluster::Alive{{""}});
  ASSERT_TRUE(channel_.Next(0).ok());
  channel_.StartThread();
  for (int beat = 0; beat < 10; ++beat) {
    // This thread is the blocked one: it calls nothing of the channel.
    SendFrom(kRank, cluster::Alive{{""}});
    clock_.SleepMs(cluster::kHeartbeatIntervalMs);
    const auto heartbeat = clients_[kRank]->Receive(kPatienceMs);
    ASSERT_TRUE(heartbeat.ok() && heartbeat->has_value()) << beat;
    EXPECT_EQ((**heartbeat).body, cluster::Body(cluster::CoordinatorAlive{}));
  }
  EXPECT_TRUE(channel_.Suspects().empty()) << "the time of a message is that of its reception";
}

TEST_F(WorkerChannelTest, AWakeEndsTheWaitWithoutAMessage) {
  channel_.StartThread();
  channel_.Wake();
  // The real clock's: without the wake the test would take this long.
  EXPECT_FALSE(channel_.Next(1000 * kPatienceMs)->has_value());
  SendFrom(kRank, cluster::Ready{});
  EXPECT_TRUE(channel_.Next(kPatienceMs)->has_value()) << "one wake ends one wait";
}

TEST_F(WorkerChannelTest, TheThreadCarriesMessagesBothWays) {
  channel_.StartThread();
  SendFrom(kRank, cluster::Hello{"rank", "model", 0, 1, 2, "boot"});
  const auto message = channel_.Next(kPatienceMs);
  ASSERT_TRUE(message.ok() && message->has_value());
  EXPECT_EQ((**message).worker, kRank);
  ASSERT_TRUE(channel_.Send(kRank, cluster::Stop{"enough"}).ok());
  while (true) {
    const auto received = Of(kRank).Receive(kPatienceMs);
    ASSERT_TRUE(received.ok() && received->has_value());
    if (std::holds_alternative<cluster::Stop>((**received).body)) break;
  }
}

TEST_F(WorkerChannelTest, KnowsABoundedNumberOfWorkersAndForgetsThoseThatLongSentNothing) {
  for (uint64_t life = 1; life <= kWorkersMax; ++life) {
    SendFrom({"agent-0", life}, cluster::Alive{{""}});
    ASSERT_TRUE(channel_.Next(0).ok());
  }
  SendFrom(kRank, cluster::Ready{});
  EXPECT_FALSE(channel_.Next(0)->has_value());
  PassWithHeartbeats(kRank, 70'000, /*speaks=*/false);
  SendFrom({"late", 1}, cluster::Ready{});
  EXPECT_TRUE(channel_.Next(0)->has_value());
}

TEST_F(WorkerChannelTest, AMessageIsTakenOnceAndAcknowledgedAtOnce) {
  const cluster::Message done{job_, kAgent, Incarnation(5), cluster::TaskDone{"tokens/1", 3, {}},
                              /*sequence=*/1};
  clients_[kAgent] = network_.Connect(kAgent);
  ASSERT_TRUE(clients_[kAgent]->Send(done).ok());
  ASSERT_TRUE(clients_[kAgent]->Send(done).ok());
  EXPECT_TRUE((*channel_.Next(0)).has_value());
  EXPECT_FALSE((*channel_.Next(0)).has_value());
  const auto answer = clients_[kAgent]->Receive(0);
  ASSERT_TRUE(answer.ok() && answer->has_value());
  EXPECT_EQ((**answer).acknowledged, 1u);
}

TEST_F(WorkerChannelTest, SendsAgainWhatAWorkerDoesNotAcknowledge) {
  SendFrom(kAgent, cluster::Hello{});
  ASSERT_TRUE((*channel_.Next(0)).has_value());
  network_.SetHook([](const cluster::Message& message) {
    return std::holds_alternative<cluster::Lease>(message.body) ? cluster::Delivery::kDrop
                                                                : cluster::Delivery::kDeliver;
  });
  ASSERT_TRUE(channel_.Send(kAgent, cluster::Lease{"tokens/1", 3, {}, {}}).ok());
  network_.SetHook(nullptr);
  const auto leases = [this] {
    int count = 0;
    for (auto came = *Of(kAgent).Receive(0); came; came = *Of(kAgent).Receive(0)) {
      count += std::holds_alternative<cluster::Lease>(came->body);
    }
    return count;
  };
  EXPECT_EQ(leases(), 0);
  for (int second = 0; second < 10; ++second) {
    clock_.SleepMs(1000);
    SendFrom(kAgent, cluster::Alive{});
    ASSERT_TRUE(channel_.Next(0).ok());
  }
  EXPECT_EQ(leases(), 1);
}

TEST_F(WorkerChannelTest, AForgottenWorkerIsToldToEndAndDoesNotComeBack) {
  SendFrom(kRank, cluster::Hello{});
  ASSERT_TRUE((*channel_.Next(0)).has_value());
  channel_.Forget(kRank);
  SendFrom(kRank, cluster::Ready{});
  SendFrom(kRank, cluster::Alive{});
  EXPECT_FALSE((*channel_.Next(0)).has_value());
  std::vector<cluster::Body> received;
  for (auto came = *clients_[kRank]->Receive(0); came; came = *clients_[kRank]->Receive(0)) {
    received.push_back(came->body);
  }
  ASSERT_FALSE(received.empty());
  ASSERT_TRUE(std::holds_alternative<cluster::Stop>(received.back()));
  EXPECT_TRUE(std::get<cluster::Stop>(received.back()).end_now);
  ASSERT_TRUE(channel_.Send(kRank, cluster::Stop{}).ok());
  PassWithHeartbeats(kAgent, 2 * cluster::kHeartbeatTimeoutMs, /*speaks=*/true);
  EXPECT_TRUE(channel_.Suspects().empty()) << "it has no timeout";
  EXPECT_FALSE((*clients_[kRank]->Receive(0)).has_value()) << "it is sent nothing more";
}

TEST_F(WorkerChannelTest, AWorkerThatSendsTooFastIsNamed) {
  for (int64_t i = 0; i <= kRateMessagesMax; ++i) SendFrom(kRank, cluster::Alive{});
  for (int64_t i = 0; i <= kRateMessagesMax / 256; ++i) ASSERT_TRUE(channel_.Next(0).ok());
  ASSERT_EQ(channel_.Suspects().size(), 1u);
  EXPECT_EQ(channel_.Suspects()[0].why, "sent more than 50000 messages in 10 s");
}

TEST_F(WorkerChannelTest, AWorkerThatAcknowledgesNothingIsNamed) {
  SendFrom(kRank, cluster::Hello{});
  ASSERT_TRUE((*channel_.Next(0)).has_value());
  for (size_t i = 0; i <= kUnacknowledgedMax; ++i) {
    ASSERT_TRUE(channel_.Send(kRank, cluster::Welcome{}).ok());
  }
  ASSERT_EQ(channel_.Suspects().size(), 1u);
  EXPECT_EQ(channel_.Suspects()[0].why, "does not acknowledge what is sent to it");
}

TEST_F(WorkerChannelTest, DropsWhatBelongsToAnotherIncarnation) {
  auto client = network_.Connect(kRank);
  ASSERT_TRUE(client->Send({job_, kRank, Incarnation(4), cluster::Ready{}, 1}).ok());
  ASSERT_TRUE(client->Send({JobId("other"), kRank, Incarnation(5), cluster::Ready{}, 1}).ok());
  EXPECT_FALSE(channel_.Next(0)->has_value());
}

}  // namespace
}  // namespace halcyon::coordinator
