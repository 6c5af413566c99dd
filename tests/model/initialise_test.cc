#include "model/initialise.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace halcyon::model {
namespace {

using jobs::InitRule;

Parameter Make(const std::string& name, std::vector<int64_t> shape, InitKind init) {
  Parameter parameter;
  parameter.name = name;
  parameter.shape = std::move(shape);
  parameter.init = init;
  return parameter;
}

std::vector<float> Draw(const Parameter& parameter, InitRule rule, uint64_t seed = 1) {
  std::vector<float> values(parameter.numel());
  DrawInitial(parameter, rule, 0.02, seed, 0, values);
  return values;
}

// At 5 standard errors of mean and variance: a false alarm once in 800000 runs each.
void ExpectNormal(const std::vector<float>& values, double std) {
  double sum = 0, squares = 0;
  for (const float value : values) {
    sum += value;
    squares += static_cast<double>(value) * value;
  }
  const double count = static_cast<double>(values.size());
  EXPECT_NEAR(sum / count, 0, 5 * std / std::sqrt(count));
  EXPECT_NEAR(squares / count / (std * std), 1, 5 * std::sqrt(2 / count));
}

TEST(InitialiseTest, NormalRuleUsesTheGivenDeviation) {
  ExpectNormal(Draw(Make("w", {200, 100}, InitKind::kWeight), InitRule::kNormal), 0.02);
  ExpectNormal(Draw(Make("e", {200, 100}, InitKind::kEmbedding), InitRule::kNormal), 0.02);
}

TEST(InitialiseTest, FanInRuleUsesTheColumnsOfWeightsOnly) {
  ExpectNormal(Draw(Make("w", {400, 64}, InitKind::kWeight), InitRule::kFanIn), 0.125);
  ExpectNormal(Draw(Make("e", {400, 64}, InitKind::kEmbedding), InitRule::kFanIn), 0.02);
}

TEST(InitialiseTest, ZerosAndOnes) {
  EXPECT_EQ(Draw(Make("z", {3, 2}, InitKind::kZero), InitRule::kFanIn), std::vector<float>(6, 0));
  EXPECT_EQ(Draw(Make("o", {4}, InitKind::kOne), InitRule::kNormal), std::vector<float>(4, 1));
}

TEST(InitialiseTest, AnyPartEqualsThatPartOfTheWhole) {
  const Parameter parameter = Make("w", {37, 11}, InitKind::kWeight);
  const std::vector<float> whole = Draw(parameter, InitRule::kFanIn);
  for (const uint64_t first : {0, 1, 2, 3, 5, 250}) {
    for (const size_t count : {1, 2, 7, 150}) {
      std::vector<float> part(count);
      DrawInitial(parameter, InitRule::kFanIn, 0.02, 1, first, part);
      for (size_t i = 0; i < count; ++i) EXPECT_EQ(part[i], whole[first + i]);
    }
  }
}

TEST(InitialiseTest, DependsOnSeedAndName) {
  const auto base = Draw(Make("a", {8, 8}, InitKind::kWeight), InitRule::kNormal);
  EXPECT_NE(base, Draw(Make("b", {8, 8}, InitKind::kWeight), InitRule::kNormal));
  EXPECT_NE(base, Draw(Make("a", {8, 8}, InitKind::kWeight), InitRule::kNormal, 2));
  EXPECT_EQ(base, Draw(Make("a", {8, 8}, InitKind::kWeight), InitRule::kNormal));
}

TEST(InitialiseTest, FillsAUnit) {
  Unit unit("u");
  unit.Add("w", {5, 4}, InitKind::kWeight);
  unit.Add("o", {3}, InitKind::kOne);
  unit.Materialise();
  Initialise(unit, InitRule::kNormal, 0.02, 1);
  const std::vector<float> expected = Draw(unit.parameters()[0], InitRule::kNormal);
  const float* values = unit.parameters()[0].value.const_data_ptr<float>();
  EXPECT_EQ(std::vector<float>(values, values + 20), expected);
  EXPECT_TRUE(at::equal(unit.parameters()[1].value, at::ones({3})));
}

}  // namespace
}  // namespace halcyon::model
