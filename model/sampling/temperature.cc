#include "model/sampling/temperature.h"

#include <cmath>

#include <fmt/format.h>

#include "base/check.h"
#include "model/sampling/batch_temperature.h"
#include "model/sampling/exact_temperature.h"

namespace halcyon::model {
namespace {

// 0.333 is meant to be a third.
constexpr double kRelativeTolerance = 2e-3;

}  // namespace

absl::Status CheckTemperature(const TemperatureRule& rule) {
  if (!(rule.temperature > 0 && rule.temperature <= 1)) {
    return InvalidArgument(
        fmt::format("temperature {} is not in (0, 1]; lower is less random", rule.temperature));
  }
  const int64_t draws =
      rule.algorithm == TemperatureAlgorithm::kBatch ? rule.draws : rule.draws_max;
  if (draws < 1) return InvalidArgument(fmt::format("{} draws; use at least 1", draws));
  const double inverse = 1 / rule.temperature;
  const double whole = std::round(inverse);
  if (rule.algorithm == TemperatureAlgorithm::kExact ||
      std::abs(inverse - whole) <= kRelativeTolerance * whole) {
    return absl::OkStatus();
  }
  const double below = std::floor(inverse);
  return InvalidArgument(fmt::format(
      "temperature {} is not 1/n for a whole n, which the batch algorithm needs; use the exact "
      "algorithm, or {:.4g} (1/{:.0f}) or {:.4g} (1/{:.0f})",
      rule.temperature, 1 / below, below, 1 / (below + 1), below + 1));
}

std::unique_ptr<Chooser> MakeChooser(const TemperatureRule& rule, const PhiloxStream& random) {
  HALCYON_CHECK(CheckTemperature(rule).ok());
  const double inverse = 1 / rule.temperature;
  if (rule.algorithm == TemperatureAlgorithm::kExact) {
    return std::make_unique<ExactChooser>(inverse, rule.draws_max, random);
  }
  return std::make_unique<BatchChooser>(std::llround(inverse), rule.draws, random);
}

}  // namespace halcyon::model
