#include "cluster/in_process_gang.h"

#include <atomic>
#include <map>
#include <mutex>
#include <stdexcept>
#include <tuple>

#include "base/clock.h"
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

// Ranks on nodes of two: 1 and 3 make nodes of different sizes.
class NodesOfTwoTest : public ::testing::TestWithParam<int> {};

TEST_P(NodesOfTwoTest, HaveTheirGroups) {
  RunInProcessGang(
      GetParam(),
      [&](Collectives& gang) {
        GroupsFollowTheNodes(gang);
        EXPECT_EQ(gang.size_of(Group::kAcrossNodes), GetParam() % 2 == 0 ? GetParam() / 2
                                                     : GetParam() == 1   ? 1
                                                                         : 0);
      },
      /*ranks_per_node=*/2);
}

INSTANTIATE_TEST_SUITE_P(Sizes, NodesOfTwoTest, ::testing::Values(1, 2, 3, 4, 6));

TEST(CollectiveQueue, AnErrorIsThatOfAllLaterCollectives) {
  RunInProcessGang(2, [](Collectives& gang) {
    if (gang.rank() == 1) return;
    std::vector<float> in(1), out(2);
    Pending first = gang.AllGather(Group::kAll, std::span(std::as_const(in)), std::span(out), "a");
    Pending second = gang.AllGather(Group::kAll, std::span(std::as_const(in)), std::span(out), "b");
    EXPECT_EQ(MessageOf(second.Wait()), "all-gather of a: another rank of the gang has ended");
    EXPECT_EQ(MessageOf(first.Wait()), MessageOf(second.Wait()));
    EXPECT_EQ(MessageOf(gang.Barrier()), MessageOf(first.Wait()));
  });
}

TEST(CollectiveQueue, NamesTheCollectiveUnderWay) {
  std::atomic<bool> seen = false;
  RunInProcessGang(2, [&](Collectives& gang) {
    std::vector<float> in(3), out(6);
    if (gang.rank() == 1) {
      EXPECT_TRUE(Clock::Real()->WaitFor([&] { return seen.load(); }, 10000));
      EXPECT_TRUE(Gather(gang, Group::kAll, in, out).ok());
      return;
    }
    EXPECT_EQ(gang.Current(), "");
    Pending gather =
        gang.AllGather(Group::kAll, std::span(std::as_const(in)), std::span(out), "block.3");
    EXPECT_EQ(gang.Current(), "all-gather of block.3, number 1");
    seen = true;
    EXPECT_TRUE(gather.Wait().ok());
    EXPECT_EQ(gang.Current(), "");
  });
}

TEST(CollectiveQueue, CountsItsCosts) {
  RunInProcessGang(3, [](Collectives& gang) {
    std::vector<float> in(5), out(15);
    EXPECT_TRUE(Gather(gang, Group::kAll, in, out).ok());
    EXPECT_TRUE(ReduceScatter(gang, Group::kAll, out, in).ok());
    const CollectiveFigures figures = gang.TakeFigures();
    EXPECT_EQ(figures.collectives, 2u);
    EXPECT_EQ(figures.bytes, 2u * 2 * 5 * sizeof(float));
    EXPECT_GE(figures.busy_us, 0);
    EXPECT_EQ(gang.TakeFigures().collectives, 0u);
  });
}

class NotesInMemory : public Arrivals {
 public:
  void Note(int rank, uint64_t number) override {
    const std::lock_guard lock(mutex_);
    notes_[rank] = number;
  }
  std::optional<uint64_t> NotedBy(int rank) override {
    const std::lock_guard lock(mutex_);
    const auto found = notes_.find(rank);
    return found == notes_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::mutex mutex_;
  std::map<int, uint64_t> notes_;
};

TEST(CollectiveQueue, GivesUpWhatDoesNotEndAndNamesWhoIsMissing) {
  std::atomic<int> gave_up = 0;
  const auto rank_main = [&](Collectives& gang) {
    EXPECT_TRUE(gang.Barrier().ok());
    if (gang.rank() != 2) {
      std::vector<float> in(1), out(3);
      const absl::Status status = Gather(gang, Group::kAll, in, out);
      EXPECT_TRUE(absl::IsUnavailable(status));
      EXPECT_EQ(MessageOf(status),
                "all-gather of values, number 2 has not ended within 2 s: rank 2 has not come to "
                "it");
      EXPECT_EQ(MessageOf(gang.Barrier()), MessageOf(status)) << "of all later ones";
      ++gave_up;
    }
    // An end of a rank would be another error.
    EXPECT_TRUE(Clock::Real()->WaitFor([&] { return gave_up == 2; }, 60'000));
  };
  RunInProcessGang(3, rank_main, /*ranks_per_node=*/0,
                   {.timeout_ms = 2000, .arrivals = std::make_shared<NotesInMemory>()});
}

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
