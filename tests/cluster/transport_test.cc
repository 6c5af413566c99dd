#include "cluster/transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <zmq.hpp>

#include "base/clock.h"
#include "base/env.h"
#include "cluster/in_memory_transport.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::cluster {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kPatienceMs = 20'000;
// Enough for what has been sent to arrive, were it sent; only used where nothing should come.
constexpr int64_t kQuietMs = 100;

const WorkerId kAgent{"agent-0", 1};
const WorkerId kOther{"agent-1", 1};

Message From(const WorkerId& worker, Body body) {
  return {JobId("job"), worker, Incarnation(1), std::move(body)};
}

ClientOptions ClientOf(const std::string& endpoint, const WorkerId& self) {
  return {.endpoint = endpoint,
          .self = self,
          .incarnation = Incarnation(1),
          .server_key = "",
          .keys = {}};
}

// ZeroMQ's clients take nothing before they are connected.
absl::Status SendWhenConnected(ClientTransport& client, const Message& message) {
  absl::Status status;
  const bool ended = Clock::Real()->WaitFor(
      [&] {
        status = client.Send(message);
        return !absl::IsUnavailable(status);
      },
      kPatienceMs);
  EXPECT_TRUE(ended) << "there is no connection";
  return status;
}

class InMemoryBackend {
 public:
  std::unique_ptr<ServerTransport> Bind() { return network_.Bind(); }
  std::unique_ptr<ClientTransport> Connect(const WorkerId& self) { return network_.Connect(self); }

 private:
  InMemoryNetwork network_;
};

class ZmqBackend {
 public:
  ZmqBackend() {
    static int count = 0;
    folder_ =
        ::testing::TempDir() + "zmq_" + std::to_string(getpid()) + "_" + std::to_string(count++);
    EXPECT_TRUE(Env::Posix()->CreateDirs(folder_).ok());
  }
  ~ZmqBackend() { EXPECT_TRUE(Env::Posix()->RemoveTree(folder_).ok()); }

  std::string path() const { return folder_ + "/socket"; }
  std::string endpoint() const { return "ipc://" + path(); }
  std::unique_ptr<ServerTransport> Bind() {
    auto server = BindZmq({.endpoint = endpoint(), .keys = std::nullopt});
    EXPECT_TRUE(server.ok()) << server.status();
    return *std::move(server);
  }
  std::unique_ptr<ClientTransport> Connect(const WorkerId& self) {
    auto client = ConnectZmq(ClientOf(endpoint(), self));
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }

 private:
  std::string folder_;
};

template <typename Transport>
Message ReceiveFrom(Transport& transport) {
  auto received = transport.Receive(kPatienceMs);
  EXPECT_TRUE(received.ok()) << received.status();
  const bool came = received.ok() && received->has_value();
  EXPECT_TRUE(came) << "nothing came";
  return came ? **std::move(received) : Message{};
}

template <typename Transport>
void ExpectQuiet(Transport& transport) {
  const auto received = transport.Receive(kQuietMs);
  ASSERT_TRUE(received.ok()) << received.status();
  EXPECT_FALSE(received->has_value());
}

template <typename Backend>
class TransportContract : public ::testing::Test {
 protected:
  Backend backend_;
};
using Backends = ::testing::Types<InMemoryBackend, ZmqBackend>;
TYPED_TEST_SUITE(TransportContract, Backends);

TYPED_TEST(TransportContract, CarriesMessagesBothWays) {
  auto server = this->backend_.Bind();
  auto client = this->backend_.Connect(kAgent);
  ASSERT_TRUE(SendWhenConnected(*client, From(kAgent, Hello{"agent", "", 0, 12, 34, "boot"})).ok());
  const Message hello = ReceiveFrom(*server);
  EXPECT_EQ(hello.worker, kAgent);
  EXPECT_EQ(hello.body, Body(Hello{"agent", "", 0, 12, 34, "boot"}));
  ASSERT_TRUE(server->Send(From(kAgent, Stop{"done"})).ok());
  EXPECT_EQ(ReceiveFrom(*client).body, Body(Stop{"done"}));
}

TYPED_TEST(TransportContract, GivesNothingWhenNothingCame) {
  auto server = this->backend_.Bind();
  auto client = this->backend_.Connect(kAgent);
  ExpectQuiet(*server);
  ExpectQuiet(*client);
  EXPECT_FALSE(server->Receive(0)->has_value());
}

TYPED_TEST(TransportContract, KeepsTheOrderOfASender) {
  auto server = this->backend_.Bind();
  auto client = this->backend_.Connect(kAgent);
  for (uint64_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(SendWhenConnected(*client, From(kAgent, TaskProgress{"t", i, 0.5})).ok());
  }
  for (uint64_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(ReceiveFrom(*server).body, Body(TaskProgress{"t", i, 0.5}));
  }
}

TYPED_TEST(TransportContract, TellsWorkersAndTheirLivesApart) {
  const WorkerId reborn{"agent-0", 2};
  auto server = this->backend_.Bind();
  std::map<WorkerId, std::unique_ptr<ClientTransport>> clients;
  for (const WorkerId& worker : {kAgent, kOther, reborn}) {
    clients[worker] = this->backend_.Connect(worker);
    ASSERT_TRUE(SendWhenConnected(*clients[worker], From(worker, Ready{})).ok());
    EXPECT_EQ(ReceiveFrom(*server).worker, worker);
  }
  for (const auto& [worker, client] : clients) {
    ASSERT_TRUE(server->Send(From(worker, Lease{"task", worker.incarnation, {}, {}})).ok());
  }
  for (const auto& [worker, client] : clients) {
    const Message lease = ReceiveFrom(*client);
    EXPECT_EQ(lease.worker, worker);
    ExpectQuiet(*client);
  }
}

TYPED_TEST(TransportContract, DropsWhatIsSentToAnUnknownWorker) {
  auto server = this->backend_.Bind();
  EXPECT_TRUE(server->Send(From(kOther, Stop{})).ok());
  auto client = this->backend_.Connect(kAgent);
  ASSERT_TRUE(SendWhenConnected(*client, From(kAgent, Ready{})).ok());
  ReceiveFrom(*server);
  client.reset();
  EXPECT_TRUE(server->Send(From(kAgent, Stop{})).ok());
  ExpectQuiet(*server);
}

TYPED_TEST(TransportContract, WaitsForAServerThatIsNotThereYet) {
  auto client = this->backend_.Connect(kAgent);
  auto server = this->backend_.Bind();
  ASSERT_TRUE(SendWhenConnected(*client, From(kAgent, Ready{})).ok());
  EXPECT_EQ(ReceiveFrom(*server).body, Body(Ready{}));
}

TYPED_TEST(TransportContract, DeliversWhatWasSentBeforeTheClientEnded) {
  auto server = this->backend_.Bind();
  auto client = this->backend_.Connect(kAgent);
  ASSERT_TRUE(SendWhenConnected(*client, From(kAgent, Alive{{"the end"}})).ok());
  client.reset();
  EXPECT_EQ(ReceiveFrom(*server).body, Body(Alive{{"the end"}}));
}

TYPED_TEST(TransportContract, GoesOnWithANewServer) {
  auto server = this->backend_.Bind();
  auto client = this->backend_.Connect(kAgent);
  ASSERT_TRUE(SendWhenConnected(*client, From(kAgent, Ready{})).ok());
  ReceiveFrom(*server);
  server.reset();
  server = this->backend_.Bind();
  // What is sent before the break is noticed may be lost, so heartbeats repeat.
  bool came = false;
  for (int attempt = 0; attempt < 200 && !came; ++attempt) {
    ASSERT_TRUE(SendWhenConnected(*client, From(kAgent, Alive{{"again"}})).ok());
    came = server->Receive(kQuietMs)->has_value();
  }
  EXPECT_TRUE(came);
}

// --- ZeroMQ alone ---

TEST(ZmqTransport, ProtectsItsSocketAndReplacesAnOldOne) {
  ZmqBackend backend;
  std::ofstream(backend.path()) << "left behind";
  auto server = backend.Bind();
  struct stat status;
  ASSERT_EQ(stat(backend.path().c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(server->endpoint(), backend.endpoint());
}

TEST(ZmqTransport, ExplainsBadEndpoints) {
  for (const char* endpoint : {"ipc://relative", "127.0.0.1:1", "udp://127.0.0.1:1", ""}) {
    EXPECT_TRUE(
        absl::IsInvalidArgument(BindZmq({.endpoint = endpoint, .keys = std::nullopt}).status()))
        << endpoint;
  }
  const auto no_folder =
      BindZmq({.endpoint = "ipc:///no/such/folder/socket", .keys = std::nullopt});
  EXPECT_TRUE(absl::IsNotFound(no_folder.status()));
  EXPECT_THAT(MessageOf(no_folder.status()), HasSubstr("/no/such/folder/socket"));
}

TEST(ZmqTransport, APathMayBeLongAndHaveAnyCharacters) {
  const testing::TempDir dir;
  std::string folder = dir.Path("with space; \xC3\xA9");
  while (folder.size() < 600) folder += "/" + std::string(100, 'x');
  ASSERT_TRUE(Env::Posix()->CreateDirs(folder).ok());
  const std::string endpoint = "ipc://" + folder + "/socket";
  auto client = ConnectZmq(ClientOf(endpoint, kAgent));  // before there is a server
  ASSERT_TRUE(client.ok()) << client.status();
  auto server = BindZmq({.endpoint = endpoint, .keys = std::nullopt});
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ((*server)->endpoint(), endpoint);
  EXPECT_TRUE(Env::Posix()->Exists(folder + "/socket"));
  ASSERT_TRUE(SendWhenConnected(**client, From(kAgent, Ready{})).ok());
  EXPECT_EQ(ReceiveFrom(**server).worker, kAgent);
  ASSERT_TRUE((*server)->Send(From(kAgent, Stop{})).ok());
  EXPECT_EQ(ReceiveFrom(**client).body, Body(Stop{}));
}

TEST(ZmqTransport, RefusesAMessageThatIsTooLarge) {
  ZmqBackend backend;
  auto client = backend.Connect(kAgent);
  const Message large = From(kAgent, Alive{{std::string(17 << 20, 'x')}});
  EXPECT_TRUE(absl::IsInvalidArgument(client->Send(large)));
}

TEST(ZmqTransport, SaysWhenThereIsNoConnectionOrTheQueueIsFull) {
  ZmqBackend backend;
  auto client = backend.Connect(kAgent);
  EXPECT_TRUE(absl::IsUnavailable(client->Send(From(kAgent, Ready{}))));
  auto server = backend.Bind();
  ASSERT_TRUE(SendWhenConnected(*client, From(kAgent, Ready{})).ok());
  absl::Status status;
  for (int i = 0; i < 100'000 && status.ok(); ++i) status = client->Send(From(kAgent, Ready{}));
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  client->Abandon();  // the destructor would wait for a server that reads nothing
}

// A ZeroMQ peer that sends any bytes.
class RawPeer {
 public:
  RawPeer(const std::string& endpoint, const std::string& routing_id)
      : socket_(context_, zmq::socket_type::dealer) {
    socket_.set(zmq::sockopt::routing_id, routing_id);
    socket_.connect(endpoint);
  }
  void Send(const std::vector<std::string>& parts) {
    for (const std::string& part : parts) {
      socket_.send(zmq::buffer(part),
                   &part == &parts.back() ? zmq::send_flags::none : zmq::send_flags::sndmore);
    }
  }

 private:
  zmq::context_t context_;
  zmq::socket_t socket_;
};

TEST(ZmqTransport, DropsWhatIsMalformedAndGoesOn) {
  ZmqBackend backend;
  auto server = backend.Bind();
  RawPeer peer(backend.endpoint(), "agent-0:1:1");
  const std::string good = Encode(From(kAgent, Ready{}));
  const std::vector<std::vector<std::string>> malformed = {
      {"no CBOR"}, {good, good}, {""}, {Encode(From(kOther, Ready{}))}};
  for (const auto& parts : malformed) {
    peer.Send(parts);
    const auto received = server->Receive(kPatienceMs);
    ASSERT_TRUE(received.ok());
    EXPECT_FALSE(received->has_value());
  }
  peer.Send({good});
  EXPECT_EQ(ReceiveFrom(*server).worker, kAgent);
}

TEST(ZmqTransport, ASecondProcessDoesNotTakeTheFirstOnesPlace) {
  ZmqBackend backend;
  auto server = backend.Bind();
  auto first = backend.Connect(kAgent);
  ASSERT_TRUE(SendWhenConnected(*first, From(kAgent, Ready{})).ok());
  ReceiveFrom(*server);
  auto second = backend.Connect(kAgent);
  ASSERT_TRUE(SendWhenConnected(*second, From(kAgent, Alive{{"impostor"}})).ok());
  ExpectQuiet(*server);
  ASSERT_TRUE(server->Send(From(kAgent, Stop{})).ok());
  EXPECT_EQ(ReceiveFrom(*first).body, Body(Stop{}));
}

// --- in memory alone ---

TEST(InMemoryNetwork, HookDropsAndHolds) {
  InMemoryNetwork network;
  auto server = network.Bind();
  auto client = network.Connect(kAgent);
  network.SetHook([](const Message& message) {
    const auto* progress = std::get_if<TaskProgress>(&message.body);
    if (progress == nullptr) return Delivery::kDeliver;
    return progress->fence < 2 ? Delivery::kHold : Delivery::kDrop;
  });
  for (uint64_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(SendWhenConnected(*client, From(kAgent, TaskProgress{"t", i, 0.5})).ok());
  }
  ASSERT_TRUE(SendWhenConnected(*client, From(kAgent, Ready{})).ok());
  EXPECT_EQ(ReceiveFrom(*server).body, Body(Ready{}));
  EXPECT_FALSE(server->Receive(0)->has_value());
  network.ReleaseHeld();
  EXPECT_EQ(ReceiveFrom(*server).body, Body(TaskProgress{"t", 0, 0.5}));
  EXPECT_EQ(ReceiveFrom(*server).body, Body(TaskProgress{"t", 1, 0.5}));
  EXPECT_FALSE(server->Receive(0)->has_value());
}

}  // namespace
}  // namespace halcyon::cluster
