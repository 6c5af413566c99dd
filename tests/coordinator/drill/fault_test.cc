#include "coordinator/drill/fault.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace halcyon::coordinator {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(FaultTest, NamesAreReadInTheOrderTheyAreGiven) {
  const auto faults = ParseFaults("preempt,kill-rank", DrillPlace::kMachine);
  ASSERT_TRUE(faults.ok()) << faults.status();
  EXPECT_THAT(*faults, ElementsAre(Fault::kPreempt, Fault::kKillRank));
}

TEST(FaultTest, WithoutNamesAllThatCanBeMadeAreMade) {
  for (const DrillPlace place : {DrillPlace::kMachine, DrillPlace::kHosts, DrillPlace::kSlurm}) {
    const auto faults = ParseFaults("", place);
    ASSERT_TRUE(faults.ok());
    EXPECT_EQ(*faults, FaultsAt(place));
    EXPECT_EQ(faults->size(), place == DrillPlace::kMachine ? 7u : 6u);
    for (const Fault fault : *faults) {
      EXPECT_EQ(ParseFaults(NameOf(fault), place)->front(), fault);
      EXPECT_NE(DescriptionOf(fault), "");
    }
  }
  EXPECT_THAT(FaultsAt(DrillPlace::kSlurm), Not(Contains(Fault::kStuckRank)));
}

TEST(FaultTest, WhatCannotBeMadeIsRefusedWithWhatCan) {
  const auto refused = [](std::string_view names, DrillPlace place) {
    return std::string(ParseFaults(names, place).status().message());
  };
  EXPECT_THAT(refused("kill-rank,burn", DrillPlace::kMachine),
              HasSubstr("\"burn\" is not one of kill-rank,stop-rank,stuck-rank,"));
  EXPECT_THAT(refused("kill-rank,", DrillPlace::kMachine), HasSubstr("\"\" is not one of"));
  EXPECT_THAT(refused("stuck-rank", DrillPlace::kSlurm),
              HasSubstr("stuck-rank can be made only where all ranks run on this machine"));
  EXPECT_THAT(refused("preempt,preempt", DrillPlace::kMachine), HasSubstr("is given twice"));
}

}  // namespace
}  // namespace halcyon::coordinator
