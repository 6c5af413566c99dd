#include "model/sampling/temperature.h"

#include <gmock/gmock.h>

namespace halcyon::model {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TemperatureRule Rule(double temperature, TemperatureAlgorithm algorithm) {
  return {.temperature = temperature, .algorithm = algorithm};
}

std::string Refusal(const TemperatureRule& rule) {
  const absl::Status status = CheckTemperature(rule);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  return MessageOf(status);
}

TEST(CheckTemperatureTest, BatchTakesOneOverAWholeNumber) {
  for (const double good : {1.0, 0.5, 0.333, 1.0 / 3, 0.25, 0.1, 0.01}) {
    EXPECT_TRUE(CheckTemperature(Rule(good, TemperatureAlgorithm::kBatch)).ok()) << good;
  }
  EXPECT_THAT(Refusal(Rule(0.4, TemperatureAlgorithm::kBatch)),
              AllOf(HasSubstr("exact"), HasSubstr("0.5 (1/2)"), HasSubstr("0.3333 (1/3)")));
}

TEST(CheckTemperatureTest, ExactTakesAnyUpToOne) {
  for (const double good : {1.0, 0.9, 0.4, 0.123}) {
    EXPECT_TRUE(CheckTemperature(Rule(good, TemperatureAlgorithm::kExact)).ok()) << good;
  }
  for (const double bad : {0.0, -1.0, 1.01, std::nan("")}) {
    EXPECT_THAT(Refusal(Rule(bad, TemperatureAlgorithm::kExact)), HasSubstr("not in (0, 1]"));
  }
}

TEST(CheckTemperatureTest, DrawsAreNeeded) {
  TemperatureRule rule;
  rule.draws = 0;
  EXPECT_THAT(Refusal(rule), HasSubstr("0 draws"));
  rule.draws_max = 0;
  rule.draws = 5;
  EXPECT_TRUE(CheckTemperature(rule).ok());
  rule.algorithm = TemperatureAlgorithm::kExact;
  EXPECT_THAT(Refusal(rule), HasSubstr("0 draws"));
}

}  // namespace
}  // namespace halcyon::model
