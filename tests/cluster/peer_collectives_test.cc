// Ranks are threads, which find each other by the collectives of an in-process gang; what is tested
// are the connections that they then make.
#include "cluster/peer_collectives.h"

#include <latch>

#include "cluster/in_process_gang.h"
#include "tests/cluster/collectives_contract.h"

namespace halcyon::cluster {
namespace {

CurveKeyPair WorkerKeys() {
  static const CurveKeys keys = *MakeCurveKeys();
  return keys.worker;
}

struct Shape {
  int ranks, ranks_per_node;
  size_t call_bytes_max;
};

PeerOptions OptionsOf(int rank, const Shape& shape) {
  return {.rank = rank,
          .size = shape.ranks,
          .keys = WorkerKeys(),
          .master_address = "127.0.0.1",
          .node = std::to_string(rank / shape.ranks_per_node),
          .call_bytes_max = shape.call_bytes_max};
}

using RankMain = std::function<void(int rank, absl::StatusOr<std::unique_ptr<Collectives>>& made)>;

void RunPeers(
    const Shape& shape, const RankMain& main,
    const std::function<void(PeerOptions*)>& change = [](PeerOptions*) {}) {
  RunInProcessGang(shape.ranks, [&](Collectives& threads) {
    PeerOptions options = OptionsOf(threads.rank(), shape);
    change(&options);
    auto made = MakePeerCollectives(
        [&threads] { return std::make_unique<CollectivesBootstrap>(&threads); }, options);
    main(threads.rank(), made);
  });
}

class PeerCollectivesTest
    : public ::testing::TestWithParam<std::tuple<CollectivesContract, Shape>> {};

TEST_P(PeerCollectivesTest, FulfilsContract) {
  const auto& [contract, shape] = GetParam();
  RunPeers(shape, [&, run = contract.run](int, auto& made) {
    ASSERT_TRUE(made.ok()) << made.status();
    run(**made);
  });
}

INSTANTIATE_TEST_SUITE_P(
    Peers, PeerCollectivesTest,
    ::testing::Combine(::testing::ValuesIn(kCollectivesContracts),
                       ::testing::Values(Shape{1, 1, kCallBytesMax}, Shape{2, 2, kCallBytesMax},
                                         Shape{3, 2, kCallBytesMax}, Shape{3, 3, 13},
                                         Shape{4, 2, kCallBytesMax})),
    [](const auto& info) {
      const auto& contract = std::get<0>(info.param);
      const auto& shape = std::get<1>(info.param);
      return std::string(contract.name) + "_" + std::to_string(shape.ranks) + "ranks_nodes" +
             std::to_string(shape.ranks_per_node) + "_bytes" + std::to_string(shape.call_bytes_max);
    });

TEST(PeerCollectives, ARankThatReachesTheMasterOverLoopbackIsOnItsHost) {
  EXPECT_EQ(*AddressOfPeer("10.0.0.2", "10.0.0.3", 7, "10.0.0.1"), "10.0.0.3:7");
  EXPECT_EQ(*AddressOfPeer("10.0.0.2", "fd00::3", 7, "10.0.0.1"), "[fd00::3]:7");
  EXPECT_EQ(*AddressOfPeer("10.0.0.2", "127.0.0.1", 7, "10.0.0.1"), "10.0.0.1:7");
  EXPECT_EQ(*AddressOfPeer("127.0.0.1", "127.0.0.1", 7, "localhost"), "127.0.0.1:7");
  EXPECT_EQ(*AddressOfPeer("127.0.0.1", "10.0.0.2", 7, "localhost"), "10.0.0.2:7");
}

TEST(PeerCollectives, ARankThatEndsIsNamedToThoseThatWaitForIt) {
  RunPeers({3, 3, kCallBytesMax}, [](int rank, auto& made) {
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_TRUE((*made)->Barrier().ok());
    if (rank == 1) return made->reset();
    const absl::Status status = (*made)->Barrier();
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_EQ(MessageOf(status), "barrier: rank 1 has ended, or the connection to it is broken");
  });
}

// The last rank to leave must not lose what the first ones sent before they left.
TEST(PeerCollectives, WhatWasSentBeforeTheEndArrives) {
  for (int round = 0; round < 20; ++round) {
    RunPeers({3, 3, kCallBytesMax}, [](int rank, auto& made) {
      ASSERT_TRUE(made.ok()) << made.status();
      std::vector<float> out(3 * 1000);
      EXPECT_TRUE(Gather(**made, Group::kAll, ValuesOfRank(rank, 1000), out).ok());
      made->reset();
    });
  }
}

TEST(PeerCollectives, RanksThatLeaveTheOrderAreAnError) {
  RunPeers({2, 2, kCallBytesMax}, [](int rank, auto& made) {
    ASSERT_TRUE(made.ok()) << made.status();
    std::vector<float> in(rank + 1), out(2 * in.size());
    const absl::Status status = Gather(**made, Group::kAll, in, out);
    EXPECT_TRUE(absl::IsInternal(status)) << status;
    EXPECT_NE(
        MessageOf(status).find("rank " + std::to_string(1 - rank) + " is in another exchange"),
        std::string::npos)
        << status;
  });
}

TEST(PeerCollectives, ARankWithoutTheJobsKeysIsNotLetIn) {
  const CurveKeys others = *MakeCurveKeys();
  RunPeers(
      {2, 2, kCallBytesMax},
      [](int rank, auto& made) {
        ASSERT_FALSE(made.ok());
        const std::string message = MessageOf(made.status());
        EXPECT_TRUE(message.starts_with("nothing has come from rank " + std::to_string(1 - rank)))
            << message;
      },
      [&](PeerOptions* options) {
        options->connect_ms_max = 1000;
        if (options->rank == 1) options->keys = others.worker;
      });
}

TEST(PeerCollectives, AHungRankIsGivenUpByTheQueue) {
  std::latch given_up(1);
  RunPeers(
      {2, 2, kCallBytesMax},
      [&](int rank, auto& made) {
        ASSERT_TRUE(made.ok()) << made.status();
        if (rank == 1) return given_up.wait();
        const absl::Status status = (*made)->Barrier();
        EXPECT_TRUE(absl::IsUnavailable(status)) << status;
        EXPECT_NE(MessageOf(status).find("has not ended within"), std::string::npos) << status;
        given_up.count_down();
      },
      [](PeerOptions* options) { options->queue.timeout_ms = 300; });
}

}  // namespace
}  // namespace halcyon::cluster
