// The GPU's form of the energy loss, run by a group of one lane, against the CPU's form.
#include "model/energy_row.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/philox.h"
#include "model/energy_kernel.h"

namespace halcyon::model {
namespace {

struct OneLane {
  int64_t index() const { return 0; }
  int64_t size() const { return 1; }
  float Sum(float value) const { return value; }
  double Product(double value) const { return value; }
};

std::vector<float> Normals(int64_t count, uint64_t seed, double scale, double shift) {
  std::vector<float> values(count);
  PhiloxStream(seed, NoiseStream::kEvaluation, 0, 0).FillNormal(0, values);
  for (float& value : values) value = static_cast<float>(shift + scale * value);
  return values;
}

struct Case {
  int64_t count, latent;
  std::vector<float> samples, mean, std;
};

Case MakeCase(int64_t count, int64_t latent, double noise) {
  Case c = {count, latent, Normals(count * latent, 1, 1, 0), Normals(latent, 2, 1, 0),
            Normals(latent, 3, 0.7, std::log(noise))};
  for (float& value : c.std) value = std::exp(value);
  return c;
}

struct Result {
  EnergyKernel::Terms terms;
  std::vector<float> gradient;
};

Result Rows(const Case& c, double alpha) {
  const EnergyPosition position = {c.samples.data(), c.latent,     c.count, c.latent,
                                   c.mean.data(),    c.std.data(), alpha,   IntegralFactor(alpha)};
  Result result = {{0, 0}, std::vector<float>(c.count * c.latent)};
  for (int64_t n = 0; n < c.count; ++n) {
    float* gradient = &result.gradient[n * c.latent];
    result.terms.target += TargetOfRow(OneLane{}, position, n, gradient);
    result.terms.spread += SpreadOfRow(OneLane{}, position, n, gradient);
  }
  const double count = static_cast<double>(c.count);
  result.terms.target /= count;
  result.terms.spread /= count * (count - 1);
  return result;
}

Result Kernel(const Case& c, double alpha) {
  Result result = {{0, 0}, std::vector<float>(c.count * c.latent)};
  const EnergyKernel::Input input = {
      .samples = c.samples.data(), .stride = c.latent, .mean = c.mean.data(), .std = c.std.data()};
  result.terms = EnergyKernel(c.count, c.latent, alpha).Run(input, result.gradient.data());
  return result;
}

void ExpectAgreement(const Case& c, double alpha) {
  const Result rows = Rows(c, alpha), kernel = Kernel(c, alpha);
  EXPECT_NEAR(rows.terms.target, kernel.terms.target, 1e-5 * kernel.terms.target);
  EXPECT_NEAR(rows.terms.spread, kernel.terms.spread, 1e-5 * kernel.terms.spread);
  float largest = 0;
  for (const float slope : kernel.gradient) largest = std::max(largest, std::abs(slope));
  for (size_t i = 0; i < rows.gradient.size(); ++i) {
    ASSERT_NEAR(rows.gradient[i], kernel.gradient[i], 1e-4 * largest) << i;
  }
}

TEST(EnergyRowTest, AgreesWithTheCpusForm) {
  for (const int64_t latent : {1, 2, 10, 33, 128}) {
    for (const double alpha : {0.5, 1.0, 1.5, 1.9, 2.0}) {
      for (const double noise : {1e-4, 0.3, 50.0})
        ExpectAgreement(MakeCase(5, latent, noise), alpha);
    }
  }
}

TEST(EnergyRowTest, AgreesUnderADominantDimension) {
  for (const double alpha : {0.5, 1.0, 1.9}) {
    Case c = MakeCase(3, 16, 1e-4);
    c.std[3] = 100;
    ExpectAgreement(c, alpha);
  }
}

TEST(EnergyRowTest, HasNoGradientAtCoincidencesOnANoiselessTarget) {
  Case c = MakeCase(4, 5, 1);
  std::fill(c.std.begin(), c.std.end(), 0.0f);
  for (int64_t i = 0; i < 4 * 5; ++i) c.samples[i] = c.mean[i % 5];
  const Result result = Rows(c, 1);
  EXPECT_EQ(result.terms.target, 0);
  EXPECT_EQ(result.terms.spread, 0);
  for (const float slope : result.gradient) EXPECT_EQ(slope, 0);
}

TEST(EnergyRowTest, ValuesThatAreNotFiniteShow) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Case c = MakeCase(3, 4, 1);
    c.samples[5] = bad;
    const Result result = Rows(c, 1);
    EXPECT_TRUE(std::isnan(result.terms.target));
    EXPECT_TRUE(std::isnan(result.gradient[5]));
  }
}

}  // namespace
}  // namespace halcyon::model
