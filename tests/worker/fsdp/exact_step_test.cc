// Steps of a language model, sharded in every way, against the same steps in float64 in one process
// without sharding, and against the simplest way of sharding bit for bit.
#include <gtest/gtest.h>

#include <map>

#include "tests/worker/fsdp/small_transformer.h"

namespace halcyon::worker {
namespace {

constexpr uint64_t kUpdates = 2;

// Relative to the size of the whole gradient of the last step, and of all that the updates changed.
// float32 rounds to 6e-8, bfloat16 to 4e-3; a pass rounds some tens of times in a row.
struct Tolerance {
  double gradient, update;
};
constexpr Tolerance kFloat32 = {2e-6, 2e-5}, kBFloat16 = {0.02, 0.05};

class ExactStep : public testing::TestWithParam<GangSetup> {};

TEST_P(ExactStep, EqualsOneOfFloat64AndTheSimplestWayBitForBit) {
  static const TrainedNetwork start = TrainInFloat64({}, 0),
                              expected = TrainInFloat64({}, kUpdates);
  static std::map<std::string, TrainedNetwork> simplest;
  const Tolerance allowed = GetParam().gather_type == at::kFloat ? kFloat32 : kBFloat16;
  const TrainedNetwork found = TrainSharded(GetParam(), {}, kUpdates);
  EXPECT_LT(RelativeError(found.gradients, expected.gradients), allowed.gradient);
  EXPECT_LT(RelativeError(found.values, expected.values, start.values), allowed.update);
  const std::string name = NameOf(GetParam().Simplest());
  if (!simplest.contains(name)) {
    simplest[name] = TrainSharded(GetParam().Simplest(), {}, kUpdates);
  }
  for (const auto& [parameter, value] : simplest[name].values) {
    EXPECT_TRUE(found.values.at(parameter).equal(value)) << parameter;
  }
}

INSTANTIATE_TEST_SUITE_P(Float32, ExactStep, testing::ValuesIn(AllSetups(at::kFloat, 4)),
                         [](const auto& info) { return NameOf(info.param); });
// Products in bfloat16 are slow where they are small: two of four ways of passes and recomputing.
std::vector<GangSetup> RoundedSetups() {
  std::vector<GangSetup> setups = AllSetups(at::kBFloat16, 4);
  std::erase_if(setups,
                [](const GangSetup& setup) { return setup.in_parts != (setup.recompute > 0); });
  return setups;
}
INSTANTIATE_TEST_SUITE_P(BFloat16, ExactStep, testing::ValuesIn(RoundedSetups()),
                         [](const auto& info) { return NameOf(info.param); });

}  // namespace
}  // namespace halcyon::worker
