#include "coordinator/housekeeping/unused.h"

#include <gmock/gmock.h>

#include <limits>

#include "tests/coordinator/stages_in_home.h"

namespace halcyon::coordinator {
namespace {

using jobs::StageKind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kEver = std::numeric_limits<int64_t>::max();

class UnusedTest : public StagesInHomeTest {
 protected:
  std::vector<std::string> Planned(const UnusedLimits& limits) {
    auto plan = PlanUnused(env_, home_, limits);
    EXPECT_TRUE(plan.ok()) << plan.status();
    std::vector<std::string> paths;
    for (const RemovedPath& part : plan->removed) paths.push_back(part.path);
    return paths;
  }
};

TEST_F(UnusedTest, IsWhatNoJobNames) {
  const std::string used = Install(StageKind::kTokenizer, "a", "used");
  const std::string earlier = Install(StageKind::kTokenizer, "a", "earlier settings");
  AddJob("a", {{StageKind::kTokenizer, used}});
  const std::string work = AddWork(StageKind::kModel, "of nobody", "gone", 1000);
  EXPECT_THAT(Planned({.changed_before_ms = kEver}),
              ElementsAre(work, PathOf(StageKind::kTokenizer, earlier)));
  auto plan = PlanUnused(env_, home_, {.changed_before_ms = kEver});
  EXPECT_TRUE(env_.Exists(work)) << "planning removes nothing";
  ASSERT_TRUE(RemoveUnused(env_, clock_, home_, &*plan).ok());
  EXPECT_FALSE(env_.Exists(work));
  EXPECT_FALSE(env_.Exists(PathOf(StageKind::kTokenizer, earlier)));
  EXPECT_TRUE(env_.Exists(PathOf(StageKind::kTokenizer, used)));
  EXPECT_GT(plan->bytes_freed, 1000u);
}

TEST_F(UnusedTest, StaysWhenSomethingThatStaysWasMadeFromIt) {
  const std::string tokens = Install(StageKind::kTokenizer, "a", "tokens");
  const std::string autoencoder = Install(StageKind::kAutoencoder, "a", "autoencoder", 0, "tokens");
  const std::string model = Install(StageKind::kModel, "a", "model", 0, "autoencoder");
  AddJob("a", {{StageKind::kModel, model}});
  EXPECT_THAT(Planned({.changed_before_ms = kEver}), IsEmpty());
  const std::string loose = Install(StageKind::kAutoencoder, "a", "loose", 0, "tokens");
  EXPECT_THAT(Planned({.changed_before_ms = kEver}),
              ElementsAre(PathOf(StageKind::kAutoencoder, loose)));
}

TEST_F(UnusedTest, StaysWhileItIsYoung) {
  const std::string old = Install(StageKind::kTokenizer, "a", "old", 1000);
  Install(StageKind::kTokenizer, "a", "young", 2000);
  EXPECT_THAT(Planned({.changed_before_ms = 1001}),
              ElementsAre(PathOf(StageKind::kTokenizer, old)));
  AddWork(StageKind::kModel, "just written", "a", 10);
  EXPECT_THAT(Planned({.changed_before_ms = 1001}),
              ElementsAre(PathOf(StageKind::kTokenizer, old)));
}

TEST_F(UnusedTest, TheNewestStayUpToTheSize) {
  std::vector<std::string> paths;
  for (const int64_t created : {3000, 1000, 2000}) {
    const std::string contents = std::string(100'000, 'x') + std::to_string(created);
    paths.push_back(
        PathOf(StageKind::kTokenizer, Install(StageKind::kTokenizer, "a", contents, created)));
  }
  const auto kept = [&](uint64_t bytes_max) {
    const auto gone = Planned({.changed_before_ms = kEver, .bytes_max = bytes_max});
    std::vector<size_t> left;
    for (size_t i = 0; i < paths.size(); ++i) {
      if (std::ranges::find(gone, paths[i]) == gone.end()) left.push_back(i);
    }
    return left;
  };
  EXPECT_THAT(kept(0), IsEmpty());
  EXPECT_THAT(kept(350'000), ElementsAre(0));
  EXPECT_THAT(kept(700'000), ElementsAre(0, 2));
  EXPECT_THAT(kept(10'000'000), ElementsAre(0, 1, 2));
}

TEST_F(UnusedTest, WhatAJobBeginsToUseMeanwhileStays) {
  const std::string tokens = Install(StageKind::kTokenizer, "a", "tokens");
  auto plan = PlanUnused(env_, home_, {.changed_before_ms = kEver});
  AddJob("late", {{StageKind::kTokenizer, tokens}});
  ASSERT_TRUE(RemoveUnused(env_, clock_, home_, &*plan).ok());
  EXPECT_TRUE(env_.Exists(PathOf(StageKind::kTokenizer, tokens)));
  EXPECT_THAT(plan->removed, IsEmpty());
  ASSERT_EQ(plan->kept.size(), 1u);
  EXPECT_EQ(plan->kept[0].needed_by, "job late");
  EXPECT_EQ(plan->bytes_freed, 0u);
}

}  // namespace
}  // namespace halcyon::coordinator
