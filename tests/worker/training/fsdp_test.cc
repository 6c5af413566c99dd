#include "worker/training/fsdp.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <mutex>

#include "model/initialise.h"
#include "tests/worker/training/toy_trainee.h"

namespace halcyon::worker {
namespace {

constexpr uint64_t kSeed = 9;

MicroBatch BatchOf(uint64_t rank, uint64_t ranks, uint64_t batch) {
  MicroBatch part;
  part.divisor = static_cast<double>(batch);
  for (uint64_t slot = rank; slot < (batch + ranks - 1) / ranks * ranks; slot += ranks) {
    part.slots.push_back(slot);
    part.items.push_back(std::min(slot, batch - 1));
    part.weights.push_back(slot < batch ? 1.0f : 0.0f);
  }
  return part;
}

// Gradients of the plain, unsharded networks, unit by unit, flat.
std::vector<std::vector<float>> PlainGradients(uint64_t batch) {
  ToyTrainee toy{jobs::TrainSpec{}};
  for (model::Unit* unit : toy.units()) {
    unit->Materialise();
    model::Initialise(*unit, toy.init_rule(), toy.init_std(), kSeed);
  }
  EXPECT_TRUE(toy.ForwardBackward(BatchOf(0, 1, batch)).ok());
  std::vector<std::vector<float>> flat;
  for (model::Unit* unit : toy.units()) {
    flat.emplace_back();
    for (model::Parameter& parameter : unit->parameters()) {
      const at::Tensor gradient = parameter.value.grad().contiguous();
      flat.back().insert(flat.back().end(), gradient.data_ptr<float>(),
                         gradient.data_ptr<float>() + gradient.numel());
    }
  }
  return flat;
}

class FsdpOfRanks : public testing::TestWithParam<int> {};

TEST_P(FsdpOfRanks, GradientsEqualTheUnshardedOnes) {
  constexpr uint64_t kBatch = 7;  // divides by none of the rank counts but 1
  const auto expected = PlainGradients(kBatch);
  std::vector<std::vector<float>> sharded(expected.size());
  std::mutex mutex;
  for (size_t u = 0; u < expected.size(); ++u) sharded[u].resize(expected[u].size());
  cluster::RunInProcessGang(GetParam(), [&](cluster::Collectives& collectives) {
    ToyTrainee toy{jobs::TrainSpec{}};
    Fsdp fsdp(toy.units(), &collectives);
    fsdp.Initialise(toy.init_rule(), toy.init_std(), kSeed);
    ASSERT_TRUE(toy.ForwardBackward(BatchOf(collectives.rank(), collectives.size(), kBatch)).ok());
    ASSERT_TRUE(fsdp.FinishBackward().ok());
    const std::lock_guard lock(mutex);
    for (size_t u = 0; u < sharded.size(); ++u) {
      const UnitShard& shard = *fsdp.shards()[u];
      for (size_t i = 0; i < shard.gradient.size(); ++i) {
        if (shard.first + i < sharded[u].size()) sharded[u][shard.first + i] = shard.gradient[i];
      }
    }
  });
  for (size_t u = 0; u < expected.size(); ++u) {
    for (size_t i = 0; i < expected[u].size(); ++i) {
      EXPECT_NEAR(sharded[u][i], expected[u][i], 1e-5) << "unit " << u << " element " << i;
    }
  }
}

TEST_P(FsdpOfRanks, WholeParametersExistOnlyWhileUsed) {
  cluster::RunInProcessGang(GetParam(), [&](cluster::Collectives& collectives) {
    ToyTrainee toy{jobs::TrainSpec{}};
    Fsdp fsdp(toy.units(), &collectives);
    fsdp.Initialise(toy.init_rule(), toy.init_std(), kSeed);
    const auto bytes_of = [&](size_t unit) {
      return toy.units()[unit]->parameters()[0].value.storage().nbytes();
    };
    EXPECT_EQ(bytes_of(0), 0u);
    const at::Tensor output = toy.Forward(at::ones({2, ToyTrainee::kWidth}));
    EXPECT_EQ(bytes_of(0), 0u) << "freed after its forward pass";
    EXPECT_GT(bytes_of(1), 0u) << "the last unit waits for its backward pass";
    output.sum().backward();
    ASSERT_TRUE(fsdp.FinishBackward().ok());
    EXPECT_EQ(bytes_of(0), 0u);
    EXPECT_EQ(bytes_of(1), 0u);
    c10::NoGradGuard no_grad;
    toy.Forward(at::ones({2, ToyTrainee::kWidth}));
    EXPECT_EQ(bytes_of(1), 0u) << "nothing stays after a pass without gradients";
  });
}

TEST_P(FsdpOfRanks, DecayMaskFollowsTheParameters) {
  cluster::RunInProcessGang(GetParam(), [&](cluster::Collectives& collectives) {
    ToyTrainee toy{jobs::TrainSpec{}};
    Fsdp fsdp(toy.units(), &collectives);
    const UnitShard& shard = *fsdp.shards()[0];
    for (size_t i = 0; i < shard.decays.size(); ++i) {
      // first.weight has 35 elements and decays; first.bias and the padding do not.
      EXPECT_EQ(shard.decays[i], shard.first + i < 35 ? 1 : 0) << shard.first + i;
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, FsdpOfRanks, testing::Values(1, 2, 3, 4));

}  // namespace
}  // namespace halcyon::worker
