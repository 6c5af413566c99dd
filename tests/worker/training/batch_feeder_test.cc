#include "worker/training/batch_feeder.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <string_view>
#include <vector>

namespace halcyon::worker {
namespace {

// A step has two passes; a pass's only item is its number, which is loaded as its token.
std::vector<MicroBatch> TwoPasses(uint64_t step) {
  std::vector<MicroBatch> passes(2);
  for (uint64_t i = 0; i < 2; ++i) {
    passes[i].step = step;
    passes[i].items = {2 * step + i};
  }
  return passes;
}

absl::StatusOr<BatchTensors> Token(const MicroBatch& plan) {
  return BatchTensors{at::full({1}, static_cast<int64_t>(plan.items[0]), at::kLong), {}};
}

TEST(BatchFeeder, GivesPassesInOrder) {
  BatchFeeder feeder(3, 6, TwoPasses, Token);
  for (uint64_t step = 3; step < 6; ++step) {
    for (uint64_t i = 0; i < 2; ++i) {
      const auto pass = feeder.Next();
      ASSERT_TRUE(pass.ok()) << pass.status();
      EXPECT_EQ(pass->plan.step, step);
      EXPECT_EQ(pass->tensors.tokens.item<int64_t>(), static_cast<int64_t>(2 * step + i));
      EXPECT_EQ(pass->is_last, i == 1);
    }
  }
  EXPECT_GE(feeder.TakeWaitedUs(), 0);
  EXPECT_EQ(feeder.TakeWaitedUs(), 0) << "counted once";
}

TEST(BatchFeeder, ReadsNoFurtherAheadThanItMay) {
  std::atomic<int> loads = 0;
  BatchFeeder feeder(0, 1000, TwoPasses, [&](const MicroBatch& plan) {
    ++loads;
    return Token(plan);
  });
  for (int taken = 1; taken <= 5; ++taken) {
    ASSERT_TRUE(feeder.Next().ok());
    // One that is read and finds no room.
    EXPECT_LE(loads, taken + static_cast<int>(kLoadedMax) + 1);
  }
}

TEST(BatchFeeder, AnErrorComesInThePlaceOfItsPass) {
  BatchFeeder feeder(0, 1000, TwoPasses,
                     [](const MicroBatch& plan) -> absl::StatusOr<BatchTensors> {
                       if (plan.items[0] == 3) return DataLoss("page 7");
                       return Token(plan);
                     });
  for (int pass = 0; pass < 3; ++pass) EXPECT_TRUE(feeder.Next().ok());
  EXPECT_EQ(MessageOf(feeder.Next().status()), "page 7");
}

// Means or log_stds of an item's two chunks; no other item has the same.
at::Tensor LatentsOf(uint64_t item, float addend) {
  return at::arange(6, at::kFloat).reshape({2, 3}) + static_cast<float>(item) + addend;
}

std::string_view BytesOf(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

// The ranks' passes of a step together, whatever fills a batch up.
TEST(BatchFeeder, SaysWhichSamplesWereUsed) {
  const pipeline::MixtureOrder order(5, {{.items = 23}});
  constexpr uint64_t kBatch = 7, kStep = 4;
  pipeline::SampleDigest expected;
  for (uint64_t place = 0; place < kBatch; ++place) {
    const uint64_t item = order.ItemAt(kStep * kBatch + place);
    expected.Add(kStep, place, item);
    const std::array<uint64_t, 2> ids = {item, 1};
    expected.AddText(kStep, place, {reinterpret_cast<const char*>(ids.data()), sizeof(ids)});
    expected.AddLatents(kStep, place, BytesOf(LatentsOf(item, 0.25F)),
                        BytesOf(LatentsOf(item, 0.5F)));
  }
  const auto load = [](const MicroBatch& plan) -> absl::StatusOr<BatchTensors> {
    const at::Tensor tokens = at::ones({std::ssize(plan.items), 2}, at::kLong);
    std::vector<at::Tensor> means = {at::empty({0, 3})}, log_stds = means;
    for (size_t i = 0; i < plan.items.size(); ++i) {
      tokens.mutable_data_ptr<int64_t>()[2 * i] = static_cast<int64_t>(plan.items[i]);
      means.push_back(LatentsOf(plan.items[i], 0.25F));
      log_stds.push_back(LatentsOf(plan.items[i], 0.5F));
    }
    return BatchTensors{tokens, {at::cat(means), at::cat(log_stds)}};
  };
  for (const uint64_t ranks : {1, 2, 3, 9}) {
    for (const uint64_t micro_batch : {0, 1, 2}) {
      pipeline::SampleDigest used;
      for (uint64_t rank = 0; rank < ranks; ++rank) {
        const BatchShape shape = {kBatch, micro_batch, rank, ranks};
        BatchFeeder feeder(
            kStep, kStep + 1, [&](uint64_t step) { return PlanBatch(shape, order, step); }, load);
        for (bool is_last = false; !is_last;) {
          const auto pass = feeder.Next();
          ASSERT_TRUE(pass.ok()) << pass.status();
          used.Add(pass->used);
          is_last = pass->is_last;
        }
      }
      EXPECT_EQ(used.samples(), kBatch);
      EXPECT_EQ(used.items(), expected.items()) << ranks << " ranks, passes of " << micro_batch;
      EXPECT_EQ(used.text(), expected.text());
      EXPECT_EQ(used.latents(), expected.latents());
      EXPECT_EQ(used.by_place(), expected.by_place());
    }
  }
}

TEST(BatchFeeder, EndsWithPassesUntaken) {
  BatchFeeder feeder(0, 1000, TwoPasses, Token);
  EXPECT_TRUE(feeder.Next().ok());
}

}  // namespace
}  // namespace halcyon::worker
