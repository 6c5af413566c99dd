// The plugin's kernels on a GPU against the CPU's. A machine without one fails, it does not skip:
// this program has a lane of its own (CONTRIBUTING.md).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/philox.h"
#include "model/argmax.h"
#include "model/energy/energy_kernel.h"
#include "tests/worker/cuda/plugin.h"

namespace halcyon::worker {
namespace {

std::vector<float> Normals(int64_t count, uint64_t seed) {
  std::vector<float> values(count);
  PhiloxStream(seed, NoiseStream::kEvaluation, 0, 0).FillNormal(0, values);
  return values;
}

class CudaKernelsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(kernels_, nullptr);
    int count = 0;
    Expect(kernels_->DeviceCount(&count));
    ASSERT_GT(count, 0) << "this test needs a GPU";
  }
  void TearDown() override {
    for (void* memory : memory_) Expect(kernels_->Free(memory));
  }

  void Expect(int status) const { ASSERT_EQ(status, 0) << kernels_->ErrorText(status); }

  template <typename T>
  T* Empty(int64_t count) {
    void* memory = nullptr;
    Expect(kernels_->Allocate(static_cast<size_t>(count) * sizeof(T), &memory));
    memory_.push_back(memory);
    return static_cast<T*>(memory);
  }

  const float* Upload(const std::vector<float>& values) {
    float* memory = Empty<float>(static_cast<int64_t>(values.size()));
    Expect(kernels_->CopyToDevice(values.data(), values.size() * sizeof(float), memory));
    return memory;
  }

  template <typename T>
  std::vector<T> Download(const T* memory, int64_t count) {
    Expect(kernels_->Synchronise(nullptr));
    std::vector<T> values(count);
    Expect(kernels_->CopyToHost(memory, values.size() * sizeof(T), values.data()));
    return values;
  }

  const CudaKernels* kernels_ = OpenPlugin();
  std::vector<void*> memory_;
};

struct EnergyCase {
  int64_t count, positions, latent;
  double alpha, noise;
};

class CudaEnergyTest : public CudaKernelsTest, public testing::WithParamInterface<EnergyCase> {};

TEST_P(CudaEnergyTest, AgreesWithTheCpu) {
  const auto& [count, positions, latent, alpha, noise] = GetParam();
  const int64_t stride = positions * latent;
  std::vector<float> samples = Normals(count * stride, 1);
  const std::vector<float> mean = Normals(stride, 2);
  std::vector<float> std = Normals(stride, 3);
  for (float& value : std) value = static_cast<float>(noise * std::exp(0.7 * value));
  // The last position's samples coincide.
  for (int64_t n = 1; n < count; ++n) {
    std::copy_n(&samples[stride - latent], latent, &samples[(n + 1) * stride - latent]);
  }
  const CudaEnergyLoss call = {.samples = Upload(samples),
                               .mean = Upload(mean),
                               .std = Upload(std),
                               .count = count,
                               .positions = positions,
                               .latent = latent,
                               .alpha = alpha,
                               .energy = Empty<float>(positions),
                               .target = Empty<float>(positions),
                               .spread = Empty<float>(positions),
                               .gradient = Empty<float>(count * stride)};
  Expect(kernels_->EnergyLoss(call, nullptr));
  const std::vector<float> energy = Download(call.energy, positions);
  const std::vector<float> target = Download(call.target, positions);
  const std::vector<float> spread = Download(call.spread, positions);
  const std::vector<float> slopes = Download(call.gradient, count * stride);

  model::EnergyKernel kernel(count, latent, alpha);
  std::vector<float> gradient(count * stride);
  for (int64_t p = 0; p < positions; ++p) {
    const int64_t row = p * latent;
    const model::EnergyKernel::Terms terms = kernel.Run(
        {.samples = &samples[row], .stride = stride, .mean = &mean[row], .std = &std[row]},
        &gradient[row]);
    EXPECT_NEAR(target[p], terms.target, 1e-5 * terms.target);
    EXPECT_NEAR(spread[p], terms.spread, 1e-5 * terms.spread);
    EXPECT_NEAR(energy[p], 2 * terms.target - terms.spread, 2e-5 * terms.target);
  }
  float largest = 0;
  for (const float slope : gradient) largest = std::max(largest, std::abs(slope));
  for (size_t i = 0; i < gradient.size(); ++i) {
    ASSERT_NEAR(slopes[i], gradient[i], 1e-4 * largest) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, CudaEnergyTest,
    testing::Values(EnergyCase{8, 1020, 128, 1.0, 0.3}, EnergyCase{2, 3, 1, 1.0, 1.0},
                    EnergyCase{5, 7, 2, 0.5, 1e-4}, EnergyCase{12, 9, 33, 1.9, 50.0},
                    EnergyCase{40, 5, 10, 2.0, 1.0}, EnergyCase{8, 65, 256, 1.5, 0.01}));

TEST_F(CudaKernelsTest, EnergyShowsValuesThatAreNotFinite) {
  std::vector<float> samples = Normals(2 * 3 * 4, 1);
  samples[4] = std::numeric_limits<float>::quiet_NaN();  // of position 1
  const CudaEnergyLoss call = {.samples = Upload(samples),
                               .mean = Upload(Normals(12, 2)),
                               .std = Upload(std::vector<float>(12, 1.0f)),
                               .count = 2,
                               .positions = 3,
                               .latent = 4,
                               .alpha = 1,
                               .energy = Empty<float>(3),
                               .target = Empty<float>(3),
                               .spread = Empty<float>(3),
                               .gradient = Empty<float>(24)};
  Expect(kernels_->EnergyLoss(call, nullptr));
  const std::vector<float> energy = Download(call.energy, 3);
  for (int64_t p = 0; p < 3; ++p) EXPECT_EQ(std::isnan(energy[p]), p == 1);
}

// Small whole numbers: exact products in any order, and ties.
TEST_F(CudaKernelsTest, ArgmaxAgreesWithTheCpu) {
  struct Size {
    int64_t rows, vocab, width;
  };
  for (const Size& size : {Size{1, 1, 1}, Size{3, 100, 21}, Size{64, 512, 16}, Size{70, 1500, 33},
                           Size{800, 8192, 256}}) {
    std::vector<float> rows = Normals(size.rows * size.width, 4);
    std::vector<float> table = Normals(size.vocab * size.width, 5);
    for (std::vector<float>* values : {&rows, &table}) {
      for (float& value : *values) value = std::floor(2 * value);
    }
    const CudaArgmax call = {.rows = Upload(rows),
                             .table = Upload(table),
                             .row_count = size.rows,
                             .vocab = size.vocab,
                             .width = size.width,
                             .result = Empty<int64_t>(size.rows)};
    Expect(kernels_->Argmax(call, nullptr));
    const std::vector<int64_t> found = Download(call.result, size.rows);
    const at::Tensor expected =
        model::BlockedArgmax(at::from_blob(rows.data(), {size.rows, size.width}),
                             at::from_blob(table.data(), {size.vocab, size.width}));
    for (int64_t r = 0; r < size.rows; ++r) {
      ASSERT_EQ(found[r], expected.const_data_ptr<int64_t>()[r]) << r;
    }
  }
}

}  // namespace
}  // namespace halcyon::worker
