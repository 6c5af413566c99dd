#include "storage/lease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "tests/storage/damage.h"
#include "tests/testing/faulty_env.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::storage {
namespace {

using ::testing::HasSubstr;

// Has something else happen between a seeker's look and its link(2).
class InterruptedEnv : public testing::FaultyEnv {
 public:
  InterruptedEnv() : FaultyEnv(Env::Posix()) {}
  absl::StatusOr<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path) override {
    if (before_draft) std::exchange(before_draft, nullptr)();
    return FaultyEnv::NewWritableFile(path);
  }
  std::function<void()> before_draft;
};

class LeaseTest : public ::testing::Test {
 protected:
  // A process of another machine, which cannot be looked up.
  static LeaseHolder Elsewhere(const std::string& who, pid_t pid = 7) {
    LeaseHolder holder = ThisProcess(who);
    holder.host = "elsewhere";
    holder.process = {pid, 1};
    return holder;
  }
  // A process of this machine that does not exist.
  static LeaseHolder Dead(const std::string& who) {
    LeaseHolder holder = ThisProcess(who);
    holder.process.start_time += 1;
    return holder;
  }
  LeaseSeeker Seeker(const LeaseHolder& self) { return {env_, clock_, Dir(), self}; }
  std::unique_ptr<Lease> Take(const LeaseHolder& self) {
    auto taken = Seeker(self).TryTake();
    EXPECT_TRUE(taken.ok()) << taken.status();
    return *std::move(taken);
  }
  std::string Dir() { return dir_.Path("lease"); }

  Env& env_ = *Env::Posix();
  SimulatedClock clock_{1000};
  testing::TempDir dir_;
};

TEST_F(LeaseTest, NumbersRiseAndAHeldLeaseIsNotGiven) {
  auto first = Take(ThisProcess("first"));
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->number(), 1u);
  LeaseSeeker second = Seeker(ThisProcess("second"));
  EXPECT_EQ(*second.TryTake(), nullptr);
  EXPECT_THAT(second.holder().ToString(), HasSubstr("first (pid "));
  EXPECT_TRUE(first->Check().ok());
  first.reset();
  EXPECT_TRUE(LookAtLease(env_, Dir())->IsFree());
  const auto next = *second.TryTake(/*above=*/40);
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(next->number(), 41u);
}

TEST_F(LeaseTest, OfManyThatTryAtOnceOneWins) {
  for (int round = 0; round < 20; ++round) {
    const std::string dir = dir_.Path("race-" + std::to_string(round));
    std::vector<std::unique_ptr<Lease>> leases(8);
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&, i] {
          LeaseSeeker seeker(env_, clock_, dir, Elsewhere("racer", 100 + i));
          leases[i] = *seeker.TryTake();
        });
      }
    }
    EXPECT_EQ(std::count(leases.begin(), leases.end(), nullptr), 7);
    EXPECT_EQ(FilesEnding(dir, "").size(), 1u) << "no draft is left";
    for (const auto& lease : leases) {
      if (lease != nullptr) lease->Abandon();
    }
  }
}

TEST_F(LeaseTest, AProcessOfThisMachineThatIsGoneIsDeadAtOnce) {
  auto lease = Take(Dead("gone"));
  lease->Abandon();
  EXPECT_TRUE(LookAtLease(env_, Dir())->IsFree());
  const auto taken = Take(ThisProcess("next"));
  ASSERT_NE(taken, nullptr);
  EXPECT_EQ(taken->number(), 2u);
  EXPECT_TRUE(absl::IsAborted(lease->Check()));
  EXPECT_THAT(MessageOf(lease->Renew()), HasSubstr("taken over by next (pid "));
}

TEST_F(LeaseTest, AProcessElsewhereIsDeadWhenItsBeatStoodStillForTheLeaseTime) {
  const auto lease = Take(Elsewhere("far"));
  LeaseSeeker seeker = Seeker(ThisProcess("near"));
  for (int64_t waited = 0; waited < 3 * kLeaseTimeMs; waited += kLeaseBeatMs) {
    ASSERT_TRUE(lease->Renew().ok());
    EXPECT_EQ(*seeker.TryTake(), nullptr) << "it renews its lease";
    clock_.AdvanceMs(kLeaseBeatMs);
  }
  ASSERT_TRUE(lease->Renew().ok());
  EXPECT_EQ(*seeker.TryTake(), nullptr) << "the last beat is new to the observer";
  clock_.AdvanceMs(kLeaseTimeMs - 1);
  EXPECT_EQ(*seeker.TryTake(), nullptr);
  clock_.AdvanceMs(1);
  EXPECT_NE(*seeker.TryTake(), nullptr);
  EXPECT_TRUE(absl::IsAborted(lease->Renew())) << "it was only slow, and must not go on";
}

TEST_F(LeaseTest, AContainersProcessesAreNotLookedUp) {
  LeaseHolder contained = Dead("in a container");
  contained.pid_namespace = "pid:[1]";
  Take(contained)->Abandon();
  EXPECT_FALSE(LookAtLease(env_, Dir())->IsFree());
  EXPECT_EQ(*Seeker(ThisProcess("outside")).TryTake(), nullptr);
}

TEST_F(LeaseTest, AnOwnerKnownToBeDeadIsNotWaitedFor) {
  const LeaseHolder far = Elsewhere("far");
  Take(far)->Abandon();
  LeaseSeeker seeker = Seeker(ThisProcess("near"));
  EXPECT_EQ(*seeker.TryTake(), nullptr);
  seeker.AssumeDead(Elsewhere("another", 8));
  EXPECT_EQ(*seeker.TryTake(), nullptr);
  seeker.AssumeDead(far);
  EXPECT_NE(*seeker.TryTake(), nullptr);
}

TEST_F(LeaseTest, AnObserverThatComesLateDoesNotCountTheTimeBefore) {
  Take(Elsewhere("far"))->Abandon();
  clock_.AdvanceMs(10 * kLeaseTimeMs);
  LeaseSeeker seeker = Seeker(ThisProcess("near"));
  EXPECT_EQ(*seeker.TryTake(), nullptr);
  clock_.AdvanceMs(kLeaseTimeMs);
  EXPECT_NE(*seeker.TryTake(), nullptr);
}

TEST_F(LeaseTest, WhoeverWasFasterIsNamed) {
  Take(Elsewhere("long ago", 6)).reset();
  InterruptedEnv env;
  std::unique_ptr<Lease> winner;
  env.before_draft = [&] { winner = Take(Elsewhere("the winner")); };
  LeaseSeeker seeker(env, clock_, Dir(), Elsewhere("the loser", 8));
  EXPECT_EQ(*seeker.TryTake(), nullptr);
  EXPECT_EQ(seeker.holder().ToString(), "the winner (pid 7 on elsewhere)");
}

// Files of old leases are removed, so that a number may be free again.
TEST_F(LeaseTest, AnOldNumberIsNoLease) {
  InterruptedEnv env;
  std::unique_ptr<Lease> present;
  env.before_draft = [&] {
    for (int i = 0; i < 6; ++i) {
      present.reset();
      present = Take(Elsewhere("meanwhile"));
    }
  };
  LeaseSeeker slow(env, clock_, Dir(), Elsewhere("slow", 8));
  EXPECT_EQ(*slow.TryTake(), nullptr);
  EXPECT_EQ(slow.holder().who, "meanwhile");
  EXPECT_TRUE(present->Check().ok());
}

TEST_F(LeaseTest, ADamagedLeaseIsNamed) {
  Take(ThisProcess("first"))->Abandon();
  Overwrite(Dir() + "/00000001", "{");
  const absl::Status status = Seeker(ThisProcess("second")).TryTake().status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr(Dir() + "/00000001"));
}

TEST_F(LeaseTest, FilesOfOldLeasesAreRemoved) {
  for (int i = 0; i < 12; ++i) {
    const auto lease = Take(ThisProcess("again"));
    ASSERT_TRUE(lease->Renew().ok());
  }
  EXPECT_LE(FilesEnding(Dir(), "").size(), 12u) << "four leases of three files";
  EXPECT_EQ(LookAtLease(env_, Dir())->number, 12u);
}

}  // namespace
}  // namespace halcyon::storage
