// The GPU's form of the energy loss, run by one lane and by four threads, against the CPU's form.
#include "model/energy/energy_row.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <barrier>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "base/philox.h"
#include "model/energy/energy_kernel.h"

namespace halcyon::model {
namespace {

struct OneLane {
  int64_t index() const { return 0; }
  int64_t size() const { return 1; }
  float Sum(float value) const { return value; }
  double Product(double value) const { return value; }
};

// Lanes that are threads; each waits for the others to put down their numbers.
class ThreadLanes {
 public:
  static constexpr int kCount = 4;
  struct Shared {
    std::barrier<> barrier{kCount};
    double numbers[kCount] = {};
  };
  ThreadLanes(int index, Shared* shared) : index_(index), shared_(shared) {}

  int64_t index() const { return index_; }
  int64_t size() const { return kCount; }
  float Sum(float value) const {
    return static_cast<float>(Combine(value, [](double a, double b) { return a + b; }));
  }
  double Product(double value) const {
    return Combine(value, [](double a, double b) { return a * b; });
  }

 private:
  template <typename Operation>
  double Combine(double value, Operation operation) const {
    shared_->numbers[index_] = value;
    shared_->barrier.arrive_and_wait();
    double total = shared_->numbers[0];
    for (int i = 1; i < kCount; ++i) total = operation(total, shared_->numbers[i]);
    shared_->barrier.arrive_and_wait();
    return total;
  }

  int index_;
  Shared* shared_;
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
  std::vector<float> normal = {};  // [draws, latent]
  int64_t draws() const { return std::ssize(normal) / latent; }
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

EnergyPosition PositionOf(const Case& c, double alpha) {
  return {.samples = c.samples.data(),
          .stride = c.latent,
          .count = c.count,
          .latent = c.latent,
          .mean = c.mean.data(),
          .std = c.std.data(),
          .normal = c.normal.data(),
          .draws = c.draws(),
          .alpha = alpha,
          .factor = IntegralFactor(alpha)};
}

template <typename Lanes>
EnergyKernel::Terms RunRows(const Lanes& lanes, const EnergyPosition& position, float* gradient) {
  EnergyKernel::Terms terms = {0, 0};
  for (int64_t n = 0; n < position.count; ++n) {
    terms.target += TargetOfRow(lanes, position, n, gradient + n * position.latent);
    terms.spread += SpreadOfRow(lanes, position, n, gradient + n * position.latent);
  }
  const double count = static_cast<double>(position.count);
  return {terms.target / count, terms.spread / (count * (count - 1))};
}

Result Rows(const Case& c, double alpha) {
  Result result = {{0, 0}, std::vector<float>(c.count * c.latent)};
  result.terms = RunRows(OneLane{}, PositionOf(c, alpha), result.gradient.data());
  return result;
}

Result RowsOfThreads(const Case& c, double alpha) {
  Result result = {{0, 0}, std::vector<float>(c.count * c.latent)};
  ThreadLanes::Shared shared;
  std::vector<std::jthread> lanes;
  for (int index = 0; index < ThreadLanes::kCount; ++index) {
    lanes.emplace_back([&, index] {
      const EnergyKernel::Terms terms =
          RunRows(ThreadLanes(index, &shared), PositionOf(c, alpha), result.gradient.data());
      if (index == 0) result.terms = terms;
    });
  }
  lanes.clear();
  return result;
}

Result Kernel(const Case& c, double alpha) {
  Result result = {{0, 0}, std::vector<float>(c.count * c.latent)};
  const EnergyKernel::Input input = {.samples = c.samples.data(),
                                     .stride = c.latent,
                                     .mean = c.mean.data(),
                                     .std = c.std.data(),
                                     .normal = c.normal.data(),
                                     .draws = c.draws()};
  result.terms = EnergyKernel(c.count, c.latent, alpha).Run(input, result.gradient.data());
  return result;
}

void ExpectAgreement(const Result& rows, const Result& kernel) {
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
      for (const double noise : {1e-4, 0.3, 50.0}) {
        const Case c = MakeCase(5, latent, noise);
        ExpectAgreement(Rows(c, alpha), Kernel(c, alpha));
      }
    }
  }
}

// Fewer dimensions than lanes, and more.
TEST(EnergyRowTest, LanesShareTheDimensions) {
  for (const int64_t latent : {1, 3, 4, 33}) {
    for (const double alpha : {1.0, 2.0}) {
      const Case c = MakeCase(3, latent, 0.5);
      ExpectAgreement(RowsOfThreads(c, alpha), Kernel(c, alpha));
    }
  }
}

TEST(EnergyRowTest, AgreesOnATargetOfDraws) {
  for (const int64_t latent : {1, 10, 33}) {
    for (const double alpha : {0.5, 1.0, 2.0}) {
      Case c = MakeCase(5, latent, 0.5);
      c.normal = Normals(7 * latent, 4, 1, 0);
      ExpectAgreement(Rows(c, alpha), Kernel(c, alpha));
      ExpectAgreement(RowsOfThreads(c, alpha), Kernel(c, alpha));
    }
  }
}

TEST(EnergyRowTest, AgreesUnderADominantDimension) {
  for (const double alpha : {0.5, 1.0, 1.9}) {
    Case c = MakeCase(3, 16, 1e-4);
    c.std[3] = 100;
    ExpectAgreement(Rows(c, alpha), Kernel(c, alpha));
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
