#include "model/noise.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <vector>

namespace halcyon::model {
namespace {

constexpr NoiseKey kKey = {7, NoiseStream::kHeadNoise, 3};

TEST(NoiseTest, RowsAreTheStreamOfTheirSample) {
  const std::vector<uint64_t> samples = {5, 2};
  const at::Tensor uniform = UniformNoise(kKey, samples, {3, 2});
  const at::Tensor normal = NormalNoise(kKey, samples, {3, 2});
  ASSERT_EQ(uniform.sizes(), at::IntArrayRef({2, 3, 2}));
  for (size_t b = 0; b < samples.size(); ++b) {
    const PhiloxStream stream(kKey.seed, kKey.stream, kKey.step, samples[b]);
    std::vector<float> expected(6);
    stream.FillUniform(0, expected);
    EXPECT_TRUE(at::equal(uniform[b].flatten(), at::tensor(expected)));
    stream.FillNormal(0, expected);
    EXPECT_TRUE(at::equal(normal[b].flatten(), at::tensor(expected)));
  }
}

TEST(NoiseTest, RowsDoNotDependOnTheBatchOrOnThreads) {
  const std::vector<uint64_t> all = {0, 1, 2, 3, 4, 5, 6};
  const std::vector<uint64_t> some = {6, 3};
  at::set_num_threads(3);
  const at::Tensor whole = NormalNoise(kKey, all, {9});
  at::set_num_threads(1);
  const at::Tensor part = NormalNoise(kKey, some, {9});
  EXPECT_TRUE(at::equal(part[0], whole[6]));
  EXPECT_TRUE(at::equal(part[1], whole[3]));
}

TEST(NoiseTest, StreamStepAndSeedMatter) {
  const std::vector<uint64_t> samples = {1};
  const at::Tensor base = UniformNoise(kKey, samples, {8});
  for (const NoiseKey& other : {NoiseKey{8, kKey.stream, kKey.step},
                                NoiseKey{kKey.seed, NoiseStream::kPosterior, kKey.step},
                                NoiseKey{kKey.seed, kKey.stream, 4}}) {
    EXPECT_FALSE(at::equal(UniformNoise(other, samples, {8}), base));
  }
}

}  // namespace
}  // namespace halcyon::model
