// Parameters are compared with the networks themselves in tests/worker/estimate_test.cc.
#include "jobs/estimate.h"

#include <gtest/gtest.h>

namespace halcyon::jobs {
namespace {

JobSpec Small() {
  JobSpec spec;
  spec.autoencoder.train.steps = spec.train.steps = 10;
  spec.checkpoint.every = 4;
  return spec;
}

TEST(Estimate, ABaselineHasOneTrainingStage) {
  JobSpec spec = Small();
  EXPECT_EQ(EstimateTraining(spec, 300).size(), 2u);
  spec.model.head = HeadKind::kSoftmax;
  const auto estimates = EstimateTraining(spec, 300);
  ASSERT_EQ(estimates.size(), 1u);
  EXPECT_EQ(estimates[0].kind, StageKind::kModel);
}

// 12 bytes a parameter and checkpoint, 4 for the finished weights.
TEST(Estimate, DiskHoldsTheCheckpointsThatExistAtATime) {
  JobSpec spec = Small();
  const auto bytes_a_parameter = [&] {
    const TrainingEstimate estimate = EstimateTraining(spec, 300)[0];
    return estimate.disk_bytes / estimate.parameters;
  };
  spec.checkpoint.keep = 2;
  EXPECT_EQ(bytes_a_parameter(), 3 * 12 + 4u) << "two kept and the one being written";
  spec.checkpoint.keep = 100;
  EXPECT_EQ(bytes_a_parameter(), 3 * 12 + 4u) << "after steps 4, 8 and 10";
  spec.checkpoint.keep = 1;
  EXPECT_EQ(bytes_a_parameter(), 2 * 12 + 4u);
}

TEST(Estimate, MemoryGrowsWithWhatARankHoldsAtATime) {
  JobSpec spec = Small();
  spec.launch.ranks = 1;
  spec.train.batch = 8;
  const auto memory = [&] { return EstimateTraining(spec, 300)[1].memory_bytes; };
  const uint64_t whole = memory();
  const uint64_t weights = 16 * EstimateTraining(spec, 300)[1].parameters;
  EXPECT_GT(whole, weights);
  spec.train.micro_batch = 2;
  EXPECT_EQ(memory() - weights, (whole - weights) / 4);
  spec.train.micro_batch = 0;
  spec.launch.ranks = 4;
  EXPECT_EQ(memory(), whole) << "each of four ranks holds a fourth";
}

TEST(Estimate, LogitsAreNeverWhole) {
  JobSpec spec = Small();
  spec.model.head = HeadKind::kSoftmax;
  const auto beside_weights = [&](uint64_t vocab_size) {
    const TrainingEstimate model = EstimateTraining(spec, vocab_size).back();
    return model.memory_bytes - 16 * model.parameters;
  };
  EXPECT_EQ(beside_weights(300), beside_weights(128'000));
}

TEST(Estimate, MemoryFollowsTheSharding) {
  JobSpec spec = Small();
  spec.launch.ranks = 4;
  spec.train.batch = 8;
  const auto memory = [&] { return EstimateTraining(spec, 300)[1].memory_bytes; };
  const uint64_t parameters = EstimateTraining(spec, 300)[1].parameters;
  const uint64_t full = memory();
  spec.launch.sharding = Sharding::kHybrid;
  EXPECT_EQ(memory(), full) << "of one node";
  spec.launch.sharding = Sharding::kGradient;
  EXPECT_EQ(memory() - full, 4 * 4 * parameters) << "whole parameters on every rank";
  spec.launch.sharding = Sharding::kNone;
  EXPECT_EQ(memory() - full, 3 * 16 * parameters) << "everything on every rank";
  spec.launch.sharding = Sharding::kFull;
  spec.launch.accumulate = Accumulate::kLocal;
  EXPECT_EQ(memory(), full) << "nothing accumulates in one pass";
  spec.train.micro_batch = 1;
  const uint64_t local = memory();
  spec.launch.accumulate = Accumulate::kReduced;
  EXPECT_EQ(local - memory(), 4 * 4 * parameters) << "whole gradients on every rank";
}

TEST(Estimate, RecomputedBlocksNeedLess) {
  JobSpec spec = Small();
  spec.model.layers = 4;
  const auto memory = [&] { return EstimateTraining(spec, 300)[1].memory_bytes; };
  const uint64_t whole = memory();
  spec.launch.recompute = 2;
  const uint64_t half = memory();
  spec.launch.recompute = 4;
  EXPECT_LT(half, whole);
  EXPECT_LT(memory(), half);
  spec.launch.recompute = 9;
  EXPECT_EQ(memory(), EstimateTraining(spec, 300)[1].memory_bytes);
}

TEST(Estimate, TheLargestSizesDoNotOverflow) {
  JobSpec spec;
  spec.model.hidden_size = spec.model.intermediate_size = 1 << 18;
  spec.model.layers = spec.launch.ranks = 1024;
  spec.model.window_chunks = spec.train.batch = 1 << 20;
  spec.checkpoint.keep = 1'000'000;
  spec.train.steps = 1'000'000'000;
  spec.checkpoint.every = 1;
  const TrainingEstimate model = EstimateTraining(spec, 1 << 20)[1];
  EXPECT_GT(model.parameters, uint64_t{1} << 48);
  EXPECT_EQ(model.memory_bytes, uint64_t{1} << 62);
  EXPECT_EQ(model.disk_bytes, uint64_t{1} << 62);
}

TEST(Estimate, CachesTakeWhatTheirElementsTake) {
  JobSpec spec;
  spec.autoencoder.latent_size = 10;
  EXPECT_EQ(LatentBytes(spec, 3), 3u * 10 * 2 * 2);
  spec.data.latent_format = LatentFormat::kBFloat16;
  EXPECT_EQ(LatentBytes(spec, 3), 3u * 10 * 2 * 2);
  spec.data.latent_format = LatentFormat::kFloat32;
  EXPECT_EQ(LatentBytes(spec, 3), 3u * 10 * 2 * 4);
  EXPECT_EQ(TokenBytes(5, 65536), 10u);
  EXPECT_EQ(TokenBytes(5, 65537), 20u);
  EXPECT_EQ(VocabularyMin(spec), 258);
}

TEST(BytesText, HasThreeDigitsAtMost) {
  EXPECT_EQ(BytesText(0), "0 bytes");
  EXPECT_EQ(BytesText(999), "999 bytes");
  EXPECT_EQ(BytesText(1000), "1.0 kB");
  EXPECT_EQ(BytesText(17'400'000), "17 MB");
  EXPECT_EQ(BytesText(999'600'000), "1.0 GB");
  EXPECT_EQ(BytesText(uint64_t{1} << 62), "4.6 EB");
}

}  // namespace
}  // namespace halcyon::jobs
