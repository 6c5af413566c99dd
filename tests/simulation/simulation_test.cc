#include <gtest/gtest.h>

#include <cstdio>

#include "tests/simulation/world.h"

namespace halcyon::simulation {
namespace {

constexpr uint64_t kSeeds = 2000;

TEST(Simulation, AllInvariantsHoldForEverySeed) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Result result = World(seed, PlantedBug::kNone, /*prints=*/false).Run();
    ASSERT_EQ(result.violation, "")
        << result.trace << "seed " << seed << " (" << result.scenario
        << "); again, with all of its trace: simulation --trace --seed " << seed;
  }
}

TEST(Simulation, ASeedDoesTheSameAgain) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Result first = World(seed, PlantedBug::kNone, /*prints=*/false).Run();
    const Result second = World(seed, PlantedBug::kNone, /*prints=*/false).Run();
    EXPECT_EQ(first.trace, second.trace) << seed;
    EXPECT_EQ(first.events, second.events) << seed;
    EXPECT_EQ(first.duration_ms, second.duration_ms) << seed;
  }
}

class PlantedBugTest : public ::testing::TestWithParam<NamedBug> {};

TEST_P(PlantedBugTest, IsFound) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Result result = World(seed, GetParam().bug, /*prints=*/false).Run();
    if (result.violation.empty()) continue;
    std::printf("%s: seed %llu: %s\n", GetParam().name, static_cast<unsigned long long>(seed),
                result.violation.c_str());
    return;
  }
  FAIL() << GetParam().name << " is not found within " << kSeeds << " seeds";
}

INSTANTIATE_TEST_SUITE_P(All, PlantedBugTest, ::testing::ValuesIn(kPlantedBugs),
                         [](const auto& param) {
                           std::string name = param.param.name;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace halcyon::simulation
