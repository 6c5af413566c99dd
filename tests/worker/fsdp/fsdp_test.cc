#include "worker/fsdp/fsdp.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <mutex>

#include "cluster/in_process_gang.h"
#include "model/initialise.h"
#include "tests/worker/fsdp/gang_setup.h"
#include "tests/worker/training/toy_trainee.h"

namespace halcyon::worker {
namespace {

using jobs::Sharding;

constexpr uint64_t kSeed = 9;
constexpr uint64_t kBatch = 7;  // divides by none of the rank counts but 1
std::vector<MicroBatch> PartsOf(const GangSetup& setup, int rank, uint64_t step) {
  return PlanBatch({kBatch, setup.in_parts ? 2u : 0u, static_cast<uint64_t>(rank),
                    static_cast<uint64_t>(setup.ranks)},
                   pipeline::MixtureOrder(kSeed, {{.items = 40}}), step);
}

absl::Status AccumulateStep(Fsdp& fsdp, ToyTrainee& toy, const GangSetup& setup, int rank,
                            uint64_t step) {
  fsdp.BeginStep();
  const auto parts = PartsOf(setup, rank, step);
  for (const MicroBatch& part : parts) {
    fsdp.BeginPass(&part == &parts.back());
    RETURN_IF_ERROR(toy.ForwardBackward(part, *toy.Load(part)).status());
    RETURN_IF_ERROR(fsdp.FinishPass());
  }
  return absl::OkStatus();
}

// Every rank does `steps` steps; what `read` copies out of each rank's shards is put together.
using ReadShard = std::function<at::Tensor(const UnitShard&)>;
std::vector<std::vector<float>> Train(const GangSetup& setup, uint64_t steps,
                                      const ReadShard& read) {
  std::vector<std::vector<float>> flat(2);
  std::mutex mutex;
  const auto rank_main = [&](cluster::Collectives& collectives) {
    ToyTrainee toy{jobs::TrainSpec{}};
    const auto plan = PlanShards(setup.sharding, collectives);
    ASSERT_TRUE(plan.ok()) << plan.status();
    Fsdp fsdp(toy.units(), &collectives, *plan, setup.options());
    fsdp.Initialise(toy.init_rule(), toy.init_std(), kSeed);
    for (uint64_t step = 0; step < steps; ++step) {
      if (step > 0) fsdp.OptimizerStep({.learning_rate = 0.05}, step - 1, 1.0);
      ASSERT_TRUE(AccumulateStep(fsdp, toy, setup, collectives.rank(), step).ok());
    }
    const std::lock_guard lock(mutex);
    for (size_t u = 0; u < flat.size(); ++u) {
      const UnitShard& shard = *fsdp.shards()[u];
      flat[u].resize(toy.units()[u]->numel());
      const at::Tensor array = read(shard);
      for (int64_t i = 0; i < array.numel(); ++i) {
        if (shard.first + i < std::ssize(flat[u]))
          flat[u][shard.first + i] = array[i].item<float>();
      }
    }
  };
  cluster::RunInProcessGang(setup.ranks, rank_main, kRanksPerNode);
  return flat;
}

const ReadShard kGradient = [](const UnitShard& shard) { return shard.gradient; };

// The gradients of the whole batch in float64, without units: first.weight and first.bias, then
// second.weight, flat.
std::vector<std::vector<double>> GradientsInFloat64() {
  ToyTrainee toy{jobs::TrainSpec{}};
  std::vector<at::Tensor> leaves;
  for (model::Unit* unit : toy.units()) {
    unit->Materialise();
    model::Initialise(*unit, toy.init_rule(), toy.init_std(), kSeed);
    for (model::Parameter& parameter : unit->parameters()) {
      leaves.push_back(parameter.value.detach().to(at::kDouble).requires_grad_(true));
    }
  }
  const MicroBatch batch = PartsOf({}, 0, 0)[0];
  const at::Tensor input = ToyTrainee::InputOf(batch.items).to(at::kDouble);
  const at::Tensor hidden = at::tanh(at::linear(input, leaves[0], leaves[1]));
  ToyTrainee::LossOf(batch, input, at::linear(hidden, leaves[2])).backward();
  std::vector<std::vector<double>> flat(2);
  for (size_t i = 0; i < leaves.size(); ++i) {
    const at::Tensor gradient = leaves[i].grad().contiguous();
    const auto* values = gradient.const_data_ptr<double>();
    flat[i / 2].insert(flat[i / 2].end(), values, values + gradient.numel());
  }
  return flat;
}

class FsdpOfSetups : public testing::TestWithParam<GangSetup> {};

// Float32 sums of 7 samples: 1e-6 of the largest element is some ten roundings.
TEST_P(FsdpOfSetups, GradientsEqualThoseOfFloat64) {
  static const auto expected = GradientsInFloat64();
  const auto gradients = Train(GetParam(), 1, kGradient);
  double largest = 0;
  for (const auto& unit : expected) {
    for (const double value : unit) largest = std::max(largest, std::abs(value));
  }
  for (size_t u = 0; u < expected.size(); ++u) {
    ASSERT_EQ(gradients[u].size(), expected[u].size());
    for (size_t i = 0; i < expected[u].size(); ++i) {
      EXPECT_NEAR(gradients[u][i], expected[u][i], 1e-6 * largest) << u << " " << i;
    }
  }
}

// Later passes gather ahead by the order that the first one recorded, and use memory again.
TEST_P(FsdpOfSetups, LaterStepsGiveTheBitsOfTheSimplestWay) {
  const ReadShard value = [](const UnitShard& shard) { return shard.value; };
  EXPECT_EQ(Train(GetParam(), 4, value), Train(GetParam().Simplest(), 4, value));
}

INSTANTIATE_TEST_SUITE_P(All, FsdpOfSetups, testing::ValuesIn(AllSetups(at::kFloat, 4)),
                         [](const auto& info) { return NameOf(info.param); });

class FsdpOfRanks : public testing::TestWithParam<int> {};

TEST_P(FsdpOfRanks, WholeParametersExistOnlyWhileUsed) {
  cluster::RunInProcessGang(GetParam(), [&](cluster::Collectives& collectives) {
    ToyTrainee toy{jobs::TrainSpec{}};
    Fsdp fsdp(toy.units(), &collectives);
    fsdp.Initialise(toy.init_rule(), toy.init_std(), kSeed);
    const auto bytes_of = [&](size_t unit) {
      return toy.units()[unit]->parameters()[0].value.storage().nbytes();
    };
    for (int pass = 0; pass < 3; ++pass) {
      EXPECT_EQ(bytes_of(0), 0u);
      fsdp.BeginStep();
      fsdp.BeginPass(/*is_last=*/true);
      const at::Tensor output = toy.Forward(at::ones({2, ToyTrainee::kWidth}));
      EXPECT_EQ(bytes_of(0), 0u) << "freed after its forward pass";
      EXPECT_GT(bytes_of(1), 0u) << "the last unit waits for its backward pass";
      output.sum().backward();
      ASSERT_TRUE(fsdp.FinishPass().ok());
      EXPECT_EQ(bytes_of(0), 0u);
      EXPECT_EQ(bytes_of(1), 0u);
      c10::NoGradGuard no_grad;
      toy.Forward(at::ones({2, ToyTrainee::kWidth}));
      EXPECT_EQ(bytes_of(1), 0u) << "nothing stays after a pass without gradients";
    }
  });
}

TEST_P(FsdpOfRanks, DecayMaskFollowsTheParameters) {
  cluster::RunInProcessGang(GetParam(), [&](cluster::Collectives& collectives) {
    ToyTrainee toy{jobs::TrainSpec{}};
    Fsdp fsdp(toy.units(), &collectives);
    const UnitShard& shard = *fsdp.shards()[0];
    for (int64_t i = 0; i < shard.decays.numel(); ++i) {
      // first.weight has 35 elements and decays; first.bias and the padding do not.
      EXPECT_EQ(shard.decays[i].item<int>(), shard.first + i < 35 ? 1 : 0) << shard.first + i;
    }
  });
}

// Each element counts once, also where replicas have the same ones.
TEST_P(FsdpOfRanks, SquaresAddUpToTheNorm) {
  for (const Sharding sharding : {Sharding::kFull, Sharding::kNone}) {
    std::mutex mutex;
    double squares = 0;
    const GangSetup setup{GetParam(), sharding};
    cluster::RunInProcessGang(setup.ranks, [&](cluster::Collectives& collectives) {
      ToyTrainee toy{jobs::TrainSpec{}};
      Fsdp fsdp(toy.units(), &collectives, *PlanShards(sharding, collectives), setup.options());
      fsdp.Initialise(toy.init_rule(), toy.init_std(), kSeed);
      ASSERT_TRUE(AccumulateStep(fsdp, toy, setup, collectives.rank(), 0).ok());
      const std::lock_guard lock(mutex);
      squares += fsdp.LocalGradientSquares();
    });
    double expected = 0;
    for (const auto& unit : GradientsInFloat64()) {
      for (const double value : unit) expected += value * value;
    }
    EXPECT_NEAR(squares, expected, 1e-5 * expected);
  }
}

// A pass that takes another way than the recorded one must neither hang nor keep units whole.
TEST_P(FsdpOfRanks, APassOfAnotherOrderIsRecordedAnew) {
  cluster::RunInProcessGang(GetParam(), [&](cluster::Collectives& collectives) {
    ToyTrainee toy{jobs::TrainSpec{}};
    Fsdp fsdp(toy.units(), &collectives);
    fsdp.Initialise(toy.init_rule(), toy.init_std(), kSeed);
    const GangSetup setup{collectives.size()};
    ASSERT_TRUE(AccumulateStep(fsdp, toy, setup, collectives.rank(), 0).ok());
    fsdp.BeginStep();
    fsdp.BeginPass(/*is_last=*/true);
    toy.units()[0]->Enter();  // then nothing more
    EXPECT_GT(toy.units()[1]->parameters()[0].value.storage().nbytes(), 0u) << "gathered ahead";
    ASSERT_TRUE(fsdp.FinishPass().ok());
    for (model::Unit* unit : toy.units()) {
      EXPECT_EQ(unit->parameters()[0].value.storage().nbytes(), 0u) << unit->name();
    }
    ASSERT_TRUE(AccumulateStep(fsdp, toy, setup, collectives.rank(), 1).ok());
    ASSERT_TRUE(AccumulateStep(fsdp, toy, setup, collectives.rank(), 2).ok());
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, FsdpOfRanks, testing::Values(2, 3, 4));

TEST(Fsdp, ALostRankIsAnErrorOfThePass) {
  cluster::RunInProcessGang(2, [&](cluster::Collectives& collectives) {
    if (collectives.rank() == 1) return;
    ToyTrainee toy{jobs::TrainSpec{}};
    Fsdp fsdp(toy.units(), &collectives);
    fsdp.Initialise(toy.init_rule(), toy.init_std(), kSeed);
    const absl::Status status = AccumulateStep(fsdp, toy, {2}, 0, 0);
    EXPECT_EQ(MessageOf(status), "all-gather of first: another rank of the gang has ended");
  });
}

TEST(PlanShards, HybridNeedsNodesOfOneSize) {
  cluster::RunInProcessGang(
      3,
      [](cluster::Collectives& collectives) {
        const auto plan = PlanShards(Sharding::kHybrid, collectives);
        EXPECT_TRUE(absl::IsInvalidArgument(plan.status()));
        EXPECT_NE(MessageOf(plan.status()).find("launch.sharding = \"hybrid\""), std::string::npos);
      },
      kRanksPerNode);
}

}  // namespace
}  // namespace halcyon::worker
