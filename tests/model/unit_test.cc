#include "model/unit.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace halcyon::model {
namespace {

TEST(UnitTest, KeepsAddressesAndCounts) {
  Unit unit("u");
  Parameter& first = unit.Add("first", {2, 3}, InitKind::kWeight);
  for (int i = 0; i < 100; ++i) unit.Add("more" + std::to_string(i), {1}, InitKind::kZero);
  EXPECT_EQ(&first, &unit.parameters().front());
  EXPECT_EQ(first.numel(), 6);
  EXPECT_EQ(unit.numel(), 106);
  EXPECT_TRUE(first.decays);
  EXPECT_FALSE(unit.parameters().back().decays);
  EXPECT_FALSE(first.value.defined());
}

TEST(UnitTest, MaterialisesZerosThatTakeGradients) {
  Unit unit("u");
  Parameter& parameter = unit.Add("p", {2, 3}, InitKind::kOne);
  unit.Materialise();
  EXPECT_TRUE(at::equal(parameter.value, at::zeros({2, 3})));
  EXPECT_TRUE(parameter.value.requires_grad());
  EXPECT_TRUE(parameter.value.is_leaf());
}

TEST(UnitTest, WithoutHooksOutputsPass) {
  Unit unit("u");
  unit.Enter();
  const at::Tensor output = at::ones({2});
  EXPECT_TRUE(unit.Exit(output).is_same(output));
}

}  // namespace
}  // namespace halcyon::model
