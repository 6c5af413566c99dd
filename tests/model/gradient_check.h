// Compares autograd with finite differences of a float64 oracle, parameter by parameter.
#ifndef HALCYON_TESTS_MODEL_GRADIENT_CHECK_H_
#define HALCYON_TESTS_MODEL_GRADIENT_CHECK_H_

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "base/philox.h"
#include "model/unit.h"
#include "tests/model/network_oracle.h"

namespace halcyon::model {

// After backward(): for each parameter, the slope of `loss` along a random direction in that
// parameter alone.
inline void ExpectGradientsMatch(const std::vector<Unit*>& units, NetworkOracle oracle,
                                 const std::function<double(const NetworkOracle&)>& loss) {
  constexpr double kStep = 1e-5;
  uint64_t index = 0;
  for (Unit* unit : units) {
    for (const Parameter& parameter : unit->parameters()) {
      SCOPED_TRACE(parameter.name);
      std::vector<float> direction(parameter.numel());
      PhiloxStream(5, NoiseStream::kEvaluation, 1, index++).FillNormal(0, direction);
      const at::Tensor gradient = parameter.value.grad();
      ASSERT_TRUE(gradient.defined());
      const float* slopes = gradient.const_data_ptr<float>();
      double slope = 0, norm = 0;
      for (size_t i = 0; i < direction.size(); ++i) {
        slope += slopes[i] * direction[i];
        norm += std::pow(slopes[i] * direction[i], 2);
      }
      Vector& values = oracle.at(parameter.name);
      const Vector before = values;
      const auto moved = [&](double by) {
        for (size_t i = 0; i < values.size(); ++i) values[i] = before[i] + by * direction[i];
        return loss(oracle);
      };
      const double difference = (moved(kStep) - moved(-kStep)) / (2 * kStep);
      moved(0);
      EXPECT_GT(norm, 0);
      EXPECT_NEAR(slope, difference, 1e-3 * std::sqrt(norm) + 1e-6);
    }
  }
}

}  // namespace halcyon::model

#endif  // HALCYON_TESTS_MODEL_GRADIENT_CHECK_H_
