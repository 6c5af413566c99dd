// Meshes of one process, a thread each: a mesh that waits also lets others in.
#include "cluster/peer_mesh.h"

#include <gtest/gtest.h>

#include <functional>
#include <thread>

namespace halcyon::cluster {
namespace {

constexpr MessageTag kTag{0, 1};

absl::Status NeverGiveUp() { return absl::OkStatus(); }

class PeerMeshTest : public ::testing::Test {
 protected:
  void Make(int ranks) {
    const CurveKeyPair keys = MakeCurveKeys()->worker;
    for (int rank = 0; rank < ranks; ++rank) {
      meshes_.push_back(*MakePeerMesh({rank, ranks, keys, 1024}));
      addresses_.push_back("127.0.0.1:" + std::to_string(meshes_.back()->port()));
    }
  }
  void Connect(int rank) { ASSERT_TRUE(meshes_[rank]->Connect(addresses_).ok()); }
  absl::Status Send(int from, std::vector<int> to) {
    return meshes_[from]->Send(to, kTag, "hello", NeverGiveUp);
  }
  absl::Status Receive(int at, int from) {
    std::string bytes(5, ' ');
    RETURN_IF_ERROR(meshes_[at]->Receive(from, kTag, bytes, NeverGiveUp));
    EXPECT_EQ(bytes, "hello");
    return absl::OkStatus();
  }
  void End(int rank) { meshes_[rank].reset(); }

  std::vector<std::unique_ptr<PeerMesh>> meshes_;
  std::vector<std::string> addresses_;
};

// Its own connection is not made yet when it ends; the other's is.
TEST_F(PeerMeshTest, WhatARankSentBeforeItEndedArrives) {
  Make(2);
  Connect(0);
  EXPECT_TRUE(Send(0, {1}).ok());
  std::jthread other([&] {
    EXPECT_TRUE(Receive(1, 0).ok());
    Connect(1);
    EXPECT_TRUE(Send(1, {0}).ok());
    End(1);
  });
  EXPECT_EQ(Receive(0, 1), absl::OkStatus());
}

// So rank 2 goes on to wait for the rank that has ended, and names that one and not rank 0.
TEST_F(PeerMeshTest, ASendReachesTheRanksThatHaveNotEnded) {
  Make(3);
  for (int rank = 0; rank < 3; ++rank) Connect(rank);
  std::jthread first([&] {
    EXPECT_TRUE(Send(1, {0, 2}).ok());
    EXPECT_TRUE(Receive(1, 0).ok());
    End(1);
  });
  std::jthread second([&] {
    EXPECT_TRUE(Receive(2, 0).ok());
    EXPECT_EQ(Receive(2, 0), absl::OkStatus());
  });
  EXPECT_TRUE(Send(0, {1, 2}).ok());
  EXPECT_TRUE(Receive(0, 1).ok());
  first.join();
  EXPECT_TRUE(absl::IsUnavailable(Receive(0, 1)));
  EXPECT_EQ(MessageOf(Send(0, {1, 2})), "rank 1 has ended, or the connection to it is broken");
  End(0);
}

// Rank 2 waits for rank 0, which ended because rank 1 had.
TEST_F(PeerMeshTest, TheRankThatEndedFirstIsNamed) {
  Make(3);
  for (int rank = 0; rank < 3; ++rank) Connect(rank);
  std::jthread first([&] {
    EXPECT_TRUE(Send(1, {0, 2}).ok());
    EXPECT_TRUE(Receive(1, 0).ok());
    EXPECT_TRUE(Receive(1, 2).ok());
    End(1);
  });
  std::jthread second([&] {
    EXPECT_TRUE(Send(2, {0, 1}).ok());
    EXPECT_TRUE(Receive(2, 0).ok());
    EXPECT_EQ(MessageOf(Receive(2, 0)), "rank 1 has ended, or the connection to it is broken");
  });
  EXPECT_TRUE(Send(0, {1, 2}).ok());
  EXPECT_TRUE(Receive(0, 1).ok());
  EXPECT_TRUE(absl::IsUnavailable(Receive(0, 1)));
  End(0);
}

}  // namespace
}  // namespace halcyon::cluster
