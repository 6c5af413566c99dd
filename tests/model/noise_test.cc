#include "model/noise.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <vector>

namespace halcyon::model {
namespace {

NoiseRows Rows(const std::vector<uint64_t>& rows) { return {7, NoiseStream::kHeadNoise, 3, rows}; }

TEST(NoiseTest, RowsAreTheStreamOfTheirSample) {
  const std::vector<uint64_t> samples = {5, 2};
  const at::Tensor uniform = Rows(samples).Uniform({3, 2});
  const at::Tensor normal = Rows(samples).Normal({3, 2});
  ASSERT_EQ(uniform.sizes(), at::IntArrayRef({2, 3, 2}));
  for (size_t b = 0; b < samples.size(); ++b) {
    const PhiloxStream stream(7, NoiseStream::kHeadNoise, 3, samples[b]);
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
  const at::Tensor whole = Rows(all).Normal({9});
  at::set_num_threads(1);
  const at::Tensor part = Rows(some).Normal({9});
  EXPECT_TRUE(at::equal(part[0], whole[6]));
  EXPECT_TRUE(at::equal(part[1], whole[3]));
}

TEST(NoiseTest, StreamStepAndSeedMatter) {
  const std::vector<uint64_t> samples = {1};
  const at::Tensor base = Rows(samples).Uniform({8});
  for (const NoiseRows& other : {NoiseRows{8, NoiseStream::kHeadNoise, 3, samples},
                                 NoiseRows{7, NoiseStream::kPosterior, 3, samples},
                                 NoiseRows{7, NoiseStream::kHeadNoise, 4, samples}}) {
    EXPECT_FALSE(at::equal(other.Uniform({8}), base));
  }
  EXPECT_TRUE(at::equal(Rows(samples).With(NoiseStream::kPosterior).Uniform({8}),
                        NoiseRows{7, NoiseStream::kPosterior, 3, samples}.Uniform({8})));
}

TEST(NoiseTest, LaterNumbersContinueTheStream) {
  const NoiseRows noise = Rows({4, 1});
  const at::Tensor uniform = noise.Uniform({10}), normal = noise.Normal({10});
  for (const int64_t first : {1, 2, 5, 8}) {
    EXPECT_TRUE(at::equal(noise.Uniform({2}, first), uniform.narrow(1, first, 2)));
    EXPECT_TRUE(at::equal(noise.Normal({2}, first), normal.narrow(1, first, 2)));
  }
}

}  // namespace
}  // namespace halcyon::model
