// TCP with CURVE: who gets a connection, and what happens when one breaks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <zmq.hpp>

#include "base/clock.h"
#include "cluster/transport.h"

namespace halcyon::cluster {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kPatienceMs = 20'000;
// Enough for a connection that is allowed; only used where none should be made.
constexpr int64_t kNoConnectionMs = 1000;

const WorkerId kAgent{"agent-0", 1};
const WorkerId kRank{"model-rank-0", 1};

Message From(const WorkerId& worker, Body body) {
  return {JobId("job"), worker, Incarnation(1), std::move(body)};
}

CurveKeys NewKeys() {
  const auto keys = MakeCurveKeys();
  EXPECT_TRUE(keys.ok()) << keys.status();
  return *keys;
}

class CurveTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = BindZmq({.endpoint = "tcp://127.0.0.1:*", .keys = keys_});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  ClientOptions Options(const WorkerId& self) const {
    return {.endpoint = server_->endpoint(),
            .self = self,
            .incarnation = Incarnation(1),
            .server_key = keys_.server.public_key,
            .keys = keys_.worker};
  }
  static std::unique_ptr<ClientTransport> Connect(const ClientOptions& options) {
    auto client = ConnectZmq(options);
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }

  // What the server gets of a heartbeat that the client sends until it arrives.
  std::optional<Message> Heartbeat(ClientTransport& client, const WorkerId& self,
                                   int64_t patience_ms) {
    std::optional<Message> got;
    Clock::Real()->WaitFor(
        [&] {
          client.Send(From(self, Alive{})).IgnoreError();
          auto received = server_->Receive(10);  // also answers who may connect
          EXPECT_TRUE(received.ok()) << received.status();
          if (received.ok()) got = *std::move(received);
          return got.has_value();
        },
        patience_ms);
    return got;
  }
  void ExpectNoConnection(const ClientOptions& options) {
    const auto client = Connect(options);
    EXPECT_FALSE(Heartbeat(*client, options.self, kNoConnectionMs).has_value());
    client->Abandon();
  }

  const CurveKeys keys_ = NewKeys();
  std::unique_ptr<ServerTransport> server_;
};

TEST_F(CurveTest, CarriesMessagesBothWaysAtAPortOfItsChoice) {
  EXPECT_THAT(server_->endpoint(), HasSubstr("tcp://127.0.0.1:"));
  EXPECT_EQ(server_->endpoint().find('*'), std::string::npos);
  const auto client = Connect(Options(kAgent)), other = Connect(Options(kRank));
  ASSERT_EQ(Heartbeat(*client, kAgent, kPatienceMs)->worker, kAgent);
  std::optional<Message> of_other;
  while (!of_other || of_other->worker != kRank) {
    of_other = Heartbeat(*other, kRank, kPatienceMs);
    ASSERT_TRUE(of_other.has_value());
  }
  ASSERT_TRUE(server_->Send(From(kAgent, Stop{"enough"})).ok());
  const auto received = client->Receive(kPatienceMs);
  ASSERT_TRUE(received.ok() && received->has_value());
  EXPECT_EQ((**received).body, Body(Stop{"enough"}));
}

TEST_F(CurveTest, AKeyThatIsNotTheJobsIsRefused) {
  ClientOptions options = Options(kAgent);
  options.keys = NewKeys().worker;
  ExpectNoConnection(options);
  options.keys = keys_.server;  // a pair that is known, but not a worker's
  ExpectNoConnection(options);
}

TEST_F(CurveTest, AWorkerDoesNotTalkToAServerWithAnotherKey) {
  ClientOptions options = Options(kAgent);
  options.server_key = NewKeys().server.public_key;
  ExpectNoConnection(options);
}

TEST_F(CurveTest, APeerWithoutKeysIsRefused) {
  ClientOptions options = Options(kAgent);
  options.server_key.clear();
  ExpectNoConnection(options);
  ASSERT_TRUE(Heartbeat(*Connect(Options(kRank)), kRank, kPatienceMs).has_value());
}

// Its last connection may be half open for the server.
TEST_F(CurveTest, AWorkerThatConnectsAgainTakesItsOwnPlace) {
  const auto first = Connect(Options(kAgent));
  ASSERT_TRUE(Heartbeat(*first, kAgent, kPatienceMs).has_value());
  const auto second = Connect(Options(kAgent));
  ASSERT_TRUE(Clock::Real()->WaitFor(
      [&] {
        Heartbeat(*second, kAgent, kPatienceMs);
        EXPECT_TRUE(server_->Send(From(kAgent, Stop{})).ok());
        const auto received = second->Receive(10);
        return received.ok() && received->has_value();
      },
      kPatienceMs));
}

TEST_F(CurveTest, AWorkerReachesANewServerAtTheSamePlace) {
  const auto client = Connect(Options(kAgent));
  ASSERT_TRUE(Heartbeat(*client, kAgent, kPatienceMs).has_value());
  const std::string endpoint = server_->endpoint();
  server_.reset();
  ASSERT_TRUE(Clock::Real()->WaitFor(
      [&] {
        auto server = BindZmq({.endpoint = endpoint, .keys = keys_});
        if (server.ok()) server_ = *std::move(server);
        return server.ok();
      },
      kPatienceMs));
  EXPECT_TRUE(Heartbeat(*client, kAgent, kPatienceMs).has_value());
}

TEST(TcpTransport, BeyondLoopbackThereMustBeKeys) {
  for (const char* endpoint : {"tcp://0.0.0.0:*", "tcp://*:*", "tcp://10.1.2.3:7000",
                               "tcp://[::]:7000", "tcp://localhost:7000", "tcp://1270.0.0.1:1"}) {
    const auto server = BindZmq({.endpoint = endpoint, .keys = std::nullopt});
    EXPECT_TRUE(absl::IsInvalidArgument(server.status())) << endpoint;
    EXPECT_THAT(MessageOf(server.status()), HasSubstr("without keys")) << endpoint;
    const auto client = ConnectZmq({.endpoint = endpoint,
                                    .self = kAgent,
                                    .incarnation = Incarnation(1),
                                    .server_key = "",
                                    .keys = {}});
    EXPECT_THAT(MessageOf(client.status()), HasSubstr("without its key")) << endpoint;
  }
  EXPECT_TRUE(BindZmq({.endpoint = "tcp://127.0.0.1:*", .keys = std::nullopt}).ok());
}

}  // namespace
}  // namespace halcyon::cluster
