// Ranks are threads of this process; the store is LibTorch's, on the loopback device.
#include "worker/training/tcp_store_bootstrap.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <memory>
#include <thread>
#include <vector>

#include "base/file_descriptor.h"

namespace halcyon::worker {
namespace {

using cluster::ExternalWorld;

// One that is free now.
uint16_t FreePort() {
  const FileDescriptor socket(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

ExternalWorld WorldOf(int rank, int size, uint16_t port) {
  return {rank, rank, size, "127.0.0.1", port, /*has_store=*/false};
}

// Rank 0 serves the store for as long as its bootstrap lives: `main` returns the rank's bootstrap,
// and each is kept until the last rank has returned.
template <typename RankMain>
void RunRanks(int ranks, RankMain main) {
  std::vector<std::unique_ptr<cluster::Bootstrap>> bootstraps(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] { bootstraps[rank] = main(rank); });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(TcpStoreBootstrap, EveryRankReadsWhatAnyHasPutBeforeTheBarrier) {
  const uint16_t port = FreePort();
  RunRanks(3, [&](int rank) {
    auto bootstrap = *MakeTcpStoreBootstrap(WorldOf(rank, 3, port), "job/1/1");
    const std::string binary("\0:\xff", 3);
    if (rank == 1) {
      EXPECT_TRUE(bootstrap->Put("id", binary).ok());
      EXPECT_TRUE(bootstrap->Put("", "").ok());
    }
    EXPECT_TRUE(absl::IsNotFound(bootstrap->Get("id").status()));
    EXPECT_TRUE(bootstrap->Barrier().ok());
    EXPECT_EQ(bootstrap->Get("id").value_or("none"), binary);
    EXPECT_EQ(bootstrap->Get("").value_or("none"), "");
    EXPECT_TRUE(absl::IsNotFound(bootstrap->Get("other").status()));
    EXPECT_TRUE(bootstrap->Put(std::to_string(rank), "place").ok());
    EXPECT_TRUE(bootstrap->Barrier().ok());
    for (const char* other : {"0", "1", "2"}) {
      EXPECT_EQ(bootstrap->Get(other).value_or("none"), "place");
    }
    return bootstrap;
  });
}

TEST(TcpStoreBootstrap, LaunchesInOneStoreDoNotMix) {
  const uint16_t port = FreePort();
  // As torchrun's agent does.
  ExternalWorld server = WorldOf(0, 1, port);
  auto agent = *MakeTcpStoreBootstrap(server, "agent");
  ASSERT_TRUE(agent->Barrier().ok());
  for (const char* launch : {"job/1/1", "job/2/1"}) {
    RunRanks(2, [&](int rank) {
      ExternalWorld world = WorldOf(rank, 2, port);
      world.has_store = true;
      auto bootstrap = *MakeTcpStoreBootstrap(world, launch);
      EXPECT_TRUE(bootstrap->Put(std::to_string(rank), launch).ok());
      EXPECT_TRUE(bootstrap->Barrier().ok());
      EXPECT_EQ(bootstrap->Get(std::to_string(1 - rank)).value_or("none"), launch);
      return bootstrap;
    });
  }
}

TEST(TcpStoreBootstrap, ANamePutTwiceIsAnError) {
  const uint16_t port = FreePort();
  auto agent = *MakeTcpStoreBootstrap(WorldOf(0, 1, port), "agent");
  ASSERT_TRUE(agent->Barrier().ok());
  std::atomic<int> refused = 0;
  RunRanks(2, [&](int rank) {
    ExternalWorld world = WorldOf(rank, 2, port);
    world.has_store = true;
    auto bootstrap = *MakeTcpStoreBootstrap(world, "job", /*timeout_ms=*/3000);
    EXPECT_TRUE(bootstrap->Put("id", "x").ok());
    const absl::Status status = bootstrap->Barrier();
    if (MessageOf(status) == "\"id\" was put twice") ++refused;
    EXPECT_FALSE(status.ok());
    return bootstrap;
  });
  EXPECT_EQ(refused, 1);
}

TEST(TcpStoreBootstrap, NamesTheRanksThatDoNotCome) {
  const uint16_t port = FreePort();
  RunRanks(2, [&](int rank) {
    auto bootstrap = *MakeTcpStoreBootstrap(WorldOf(rank, 4, port), "job", rank == 0 ? 4000 : 3000);
    const absl::Status status = bootstrap->Barrier();
    EXPECT_TRUE(absl::IsUnavailable(status));
    EXPECT_EQ(MessageOf(status),
              "2 of 4 ranks have not come to the store at 127.0.0.1:" + std::to_string(port) +
                  " within " + (rank == 0 ? "4" : "3") + " s: 2, 3");
    return bootstrap;
  });
}

TEST(TcpStoreBootstrap, WithoutAStoreItsAddressIsNamed) {
  const uint16_t port = FreePort();
  auto bootstrap = *MakeTcpStoreBootstrap(WorldOf(1, 2, port), "job", /*timeout_ms=*/3000);
  const absl::Status status = bootstrap->Barrier();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_TRUE(MessageOf(status).starts_with("the store at 127.0.0.1:" + std::to_string(port) +
                                            " does not answer: "))
      << status;
}

}  // namespace
}  // namespace halcyon::worker
