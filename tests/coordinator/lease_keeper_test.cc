#include "coordinator/lease_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "base/clock.h"
#include "base/env.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;

class LeaseKeeperTest : public ::testing::Test {
 protected:
  std::shared_ptr<storage::Lease> Take(const std::string& name) { return *Seeker(name).TryTake(); }
  // As one that has found this process dead.
  std::shared_ptr<storage::Lease> TakeOver(const std::string& name) {
    storage::LeaseSeeker seeker = Seeker(name);
    seeker.AssumeDead(self_);
    return *seeker.TryTake();
  }
  std::vector<LeaseOf> TakeLost() {
    keeper_.RenewAll();
    std::vector<LeaseOf> lost;
    for (const LostLease& one : keeper_.TakeLost()) {
      EXPECT_TRUE(absl::IsAborted(one.status)) << one.status;
      lost.push_back(one.what);
    }
    return lost;
  }

  LeaseKeeper keeper_;

 private:
  storage::LeaseSeeker Seeker(const std::string& name) {
    return {*Env::Posix(), *Clock::Real(), dir_.Path(name), self_};
  }

  testing::TempDir dir_;
  const storage::LeaseHolder self_ = storage::ThisProcess("test");
};

TEST_F(LeaseKeeperTest, EachLossIsToldOnceAndTheOtherLeasesAreRenewed) {
  const auto job = Take("job"), one = Take("one"), other = Take("other");
  keeper_.Keep(job, LeaseOf::kJob);
  keeper_.Keep(one, LeaseOf::kStage);
  keeper_.Keep(other, LeaseOf::kStage);
  EXPECT_THAT(TakeLost(), IsEmpty());
  const auto taken = TakeOver("one");
  EXPECT_THAT(TakeLost(), ElementsAre(LeaseOf::kStage));
  EXPECT_THAT(TakeLost(), IsEmpty());
  const auto also_taken = TakeOver("other");
  EXPECT_THAT(TakeLost(), ElementsAre(LeaseOf::kStage));
  EXPECT_FALSE(keeper_.has_lost_job());
}

TEST_F(LeaseKeeperTest, TheJobsLossComesBeforeThoseOfItsStages) {
  std::vector<std::shared_ptr<storage::Lease>> stages, taken;
  for (const char* name : {"a", "b", "c"}) {
    keeper_.Keep(stages.emplace_back(Take(name)), LeaseOf::kStage);
  }
  const auto job = Take("job");
  keeper_.Keep(job, LeaseOf::kJob);
  const auto d = Take("d");
  keeper_.Keep(d, LeaseOf::kStage);
  for (const char* name : {"job", "a", "d"}) taken.push_back(TakeOver(name));
  EXPECT_THAT(TakeLost(), ElementsAre(LeaseOf::kJob, LeaseOf::kStage, LeaseOf::kStage));
  EXPECT_TRUE(keeper_.has_lost_job());
}

TEST_F(LeaseKeeperTest, ADroppedLeaseIsNoLoss) {
  const auto lease = Take("one");
  keeper_.Keep(lease, LeaseOf::kStage);
  keeper_.Drop(lease);
  const auto taken = TakeOver("one");
  EXPECT_THAT(TakeLost(), IsEmpty());
}

}  // namespace
}  // namespace halcyon::coordinator
