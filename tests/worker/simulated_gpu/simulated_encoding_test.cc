// Chunks encoded on a device that has no kernels of the CPU. simulated_kernels_test.cc registers it
// for the program.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "model/autoencoder.h"
#include "tests/worker/random_networks.h"
#include "tests/worker/simulated_gpu/simulated_gpu.h"

namespace halcyon::worker {
namespace {

constexpr int64_t kVocabulary = 11;

class SimulatedEncodingTest : public testing::TestWithParam<jobs::Precision> {
 protected:
  SimulatedEncodingTest() {
    FillRandomly(on_cpu_.units(), 3);
    FillRandomly(on_gpu_.units(), 3);
    for (model::Unit* unit : on_gpu_.units()) {
      for (model::Parameter& parameter : unit->parameters()) {
        parameter.value = parameter.value.detach().to(kSimulatedGpu);
      }
    }
  }

  const jobs::AutoencoderSpec spec_ = SmallAutoencoder(/*chunk_size=*/2, /*latent_size=*/3);
  model::Autoencoder on_cpu_{spec_, kVocabulary}, on_gpu_{spec_, kVocabulary};
  const at::Tensor tokens_ = at::arange(22).remainder(kVocabulary).view({11, 2});
};

TEST_P(SimulatedEncodingTest, GivesWhatTheCpuGives) {
  const c10::NoGradGuard no_grad;
  // A sum of another order may be rounded to the next number of bfloat16, 2^-7 away at most.
  const double error = GetParam() == jobs::Precision::kFloat32 ? 1e-5 : 1.0 / 32;
  on_cpu_.EncodeIn(GetParam());
  on_gpu_.EncodeIn(GetParam());
  for (const bool kept : {false, true}) {
    SCOPED_TRACE(kept);
    if (kept) on_cpu_.KeepTokenStates(), on_gpu_.KeepTokenStates();
    const model::Posterior expected = on_cpu_.Encode(tokens_), found = on_gpu_.Encode(tokens_);
    EXPECT_EQ(found.mean.scalar_type(), at::kFloat);
    EXPECT_TRUE(at::allclose(found.mean.cpu(), expected.mean, error, error));
    EXPECT_TRUE(at::allclose(found.log_std.cpu(), expected.log_std, error, error));
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, SimulatedEncodingTest,
                         testing::Values(jobs::Precision::kFloat32, jobs::Precision::kBFloat16),
                         [](const auto& info) {
                           return info.param == jobs::Precision::kFloat32 ? "Float32" : "BFloat16";
                         });

}  // namespace
}  // namespace halcyon::worker
