#include "cluster/collectives.h"

#include <atomic>
#include <stdexcept>
#include <tuple>

#include "tests/cluster/collectives_contract.h"

namespace halcyon::cluster {
namespace {

class InProcessGangTest : public ::testing::TestWithParam<std::tuple<int, CollectivesContract>> {};

TEST_P(InProcessGangTest, FulfilsContract) {
  const auto& [ranks, contract] = GetParam();
  std::atomic<int> ran = 0;
  RunInProcessGang(ranks, [&, run = contract.run](Collectives& gang) {
    run(gang);
    ++ran;
  });
  EXPECT_EQ(ran, ranks);
}

INSTANTIATE_TEST_SUITE_P(AllSizes, InProcessGangTest,
                         ::testing::Combine(::testing::Values(1, 2, 3, 4),
                                            ::testing::ValuesIn(kCollectivesContracts)),
                         [](const auto& info) {
                           return std::string(std::get<1>(info.param).name) +
                                  std::to_string(std::get<0>(info.param));
                         });

class SingleRankTest : public ::testing::TestWithParam<CollectivesContract> {};

TEST_P(SingleRankTest, FulfilsContract) {
  SingleRank gang;
  GetParam().run(gang);
}

INSTANTIATE_TEST_SUITE_P(Alone, SingleRankTest, ::testing::ValuesIn(kCollectivesContracts),
                         [](const auto& info) { return info.param.name; });

TEST(RunInProcessGang, NumbersTheRanks) {
  std::atomic<int> seen = 0;
  RunInProcessGang(4, [&](Collectives& gang) {
    EXPECT_EQ(gang.size(), 4);
    seen += 1 << gang.rank();
  });
  EXPECT_EQ(seen, 0b1111);
}

TEST(RunInProcessGang, ReleasesThoseWhoWaitForARankThatReturned) {
  RunInProcessGang(3, [](Collectives& gang) {
    EXPECT_TRUE(gang.Barrier().ok());
    if (gang.rank() == 1) return;
    std::vector<double> values = {1};
    EXPECT_TRUE(absl::IsUnavailable(gang.AllReduceSum(values)));
  });
}

TEST(RunInProcessGang, ThrowsAgainWhatARankThrew) {
  EXPECT_THROW(RunInProcessGang(2,
                                [](Collectives& gang) {
                                  if (gang.rank() == 1) throw std::runtime_error("rank 1");
                                  EXPECT_FALSE(gang.Barrier().ok());
                                }),
               std::runtime_error);
}

}  // namespace
}  // namespace halcyon::cluster
