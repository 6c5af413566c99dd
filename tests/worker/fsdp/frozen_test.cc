// Networks of which a part is frozen: steps equal those of float64, and what is frozen costs
// neither gradients nor optimizer state nor needless collectives.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <numeric>

#include "cluster/in_process_gang.h"
#include "tests/cluster/forwarding_collectives.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/fsdp/small_transformer.h"
#include "worker/training/checkpointing.h"

namespace halcyon::worker {
namespace {

using jobs::Sharding;
using Names = std::set<std::string>;

struct Frozen {
  std::string what;
  Names names;
};

std::vector<Frozen> AllFrozen() {
  return {{"First", {"input"}},
          {"Middle", {"block.1"}},
          {"Last", {"head"}},
          {"AllButAMiddleOne", {"input", "block.0", "block.2", "head"}},
          {"AllButTheFirst", {"block.0", "block.1", "block.2", "head"}},
          // What trains has its gradient before the frozen ones have served the input's.
          {"SingleParameters",
           {"block.0.attention.query.weight", "block.1.attention.norm.weight",
            "block.1.mlp.up.weight", "block.2.attention.output.weight", "final_norm.weight"}}};
}

const TrainedNetwork& InFloat64(const Frozen& frozen, uint64_t steps) {
  static std::map<std::pair<std::string, uint64_t>, TrainedNetwork> kept;
  TrainedNetwork& network = kept[{frozen.what, steps}];
  if (network.values.empty()) network = TrainInFloat64(frozen.names, steps);
  return network;
}

class FrozenOf : public ::testing::TestWithParam<GangSetup> {};

TEST_P(FrozenOf, StepsEqualThoseOfFloat64) {
  const bool is_float = GetParam().gather_type == at::kFloat;
  for (const Frozen& frozen : AllFrozen()) {
    SCOPED_TRACE(frozen.what);
    const TrainedNetwork& start = InFloat64(frozen, 0);
    const TrainedNetwork& expected = InFloat64(frozen, 2);
    const TrainedNetwork found = TrainSharded(GetParam(), frozen.names, 2);
    EXPECT_LT(RelativeError(found.values, expected.values, start.values), is_float ? 2e-5 : 0.05);
    int unchanged = 0;
    for (const auto& [name, value] : found.values) unchanged += value.equal(start.values.at(name));
    EXPECT_EQ(unchanged, std::ssize(found.values) - std::ssize(expected.gradients));
    EXPECT_EQ(found.gradients.size(), expected.gradients.size());
  }
}

std::vector<GangSetup> Setups() {
  std::vector<GangSetup> setups = AllSetups(at::kFloat, 3);
  const std::vector<GangSetup> rounded = AllSetups(at::kBFloat16, 2);
  setups.insert(setups.end(), rounded.begin(), rounded.end());
  // Several passes show all that one does; the rest is tried with full sharding.
  std::erase_if(setups, [](const GangSetup& setup) {
    const bool is_local = setup.accumulate == jobs::Accumulate::kLocal;
    const bool is_simple = !is_local && setup.recompute == 0;
    return !setup.in_parts || (is_local && setup.recompute > 0) ||
           (!is_simple && setup.sharding != Sharding::kFull);
  });
  return setups;
}

INSTANTIATE_TEST_SUITE_P(All, FrozenOf, ::testing::ValuesIn(Setups()),
                         [](const auto& info) { return NameOf(info.param); });

// Elements of all tensors of a rank's shards.
int64_t ElementsKept(Fsdp& fsdp) {
  int64_t count = 0;
  for (const UnitShard* shard : fsdp.shards()) {
    for (const at::Tensor& array :
         {shard->value, shard->gradient, shard->exp_avg, shard->exp_avg_sq}) {
      count += array.defined() ? array.numel() : 0;
    }
  }
  return count;
}

int64_t ElementsOf(const Names& frozen, bool trains) {
  SmallTransformer network(frozen);
  int64_t count = 0;
  for (model::Unit* unit : network.units()) {
    for (const model::Parameter& parameter : unit->parameters()) {
      if (parameter.requires_grad == trains) count += parameter.numel();
    }
  }
  return count;
}

TEST(Frozen, HasNoGradientAndNoOptimizerState) {
  for (const Frozen& frozen : AllFrozen()) {
    for (const Sharding sharding : {Sharding::kFull, Sharding::kGradient, Sharding::kNone}) {
      const int64_t shards = sharding == Sharding::kNone ? 1 : 2;
      std::mutex mutex;
      int64_t kept = 0, arrays = 0;
      TrainSharded({2, sharding}, frozen.names, 1, [&](Fsdp& fsdp) {
        const std::lock_guard lock(mutex);
        kept = ElementsKept(fsdp);
        arrays = std::ssize(fsdp.shards());
      });
      const int64_t expected =
          (4 * ElementsOf(frozen.names, true) + ElementsOf(frozen.names, false)) / shards;
      EXPECT_GE(kept, expected) << frozen.what;
      EXPECT_LE(kept, expected + 4 * arrays) << frozen.what << ": padding";
    }
  }
}

// What two ranks save one goes on with; "block.1" trains in part.
TEST(Frozen, CheckpointsHoldItsValuesAlone) {
  const halcyon::testing::TempDir dir;
  const Names names = {"block.0", "block.1.mlp.up.weight"};
  const GangSetup setup{2};
  std::string whole;  // of all values, by their names
  const auto describe = [](Fsdp& fsdp) {
    std::string text;
    const std::vector<storage::UnitLayout> layouts = fsdp.Layouts();
    std::vector<size_t> order(layouts.size());
    std::iota(order.begin(), order.end(), size_t{0});
    EXPECT_TRUE(fsdp.VisitWhole(order,
                                [&](size_t place, const at::Tensor& flat) {
                                  for (const auto& parameter : layouts[place].parameters) {
                                    int64_t numel = 1;
                                    for (const int64_t size : parameter.shape) numel *= size;
                                    const at::Tensor value = flat.narrow(
                                        0, static_cast<int64_t>(parameter.offset), numel);
                                    text += parameter.name + " " +
                                            std::to_string(value.sum().item<float>());
                                  }
                                })
                    .ok());
    return text;
  };
  cluster::RunInProcessGang(setup.ranks, [&](cluster::Collectives& gang) {
    SmallTransformer network(names);
    Fsdp fsdp(network.units(), &gang);
    TrainRank(fsdp, network, setup, gang, 2);
    storage::CheckpointStore store(*Env::Posix(), dir.path());
    if (gang.rank() == 0) {
      EXPECT_TRUE(store.Fence({1, 1}).ok());
    }
    EXPECT_TRUE(gang.Barrier().ok());
    EXPECT_TRUE(store.Fence({1, 1}).ok());
    storage::CheckpointManifest manifest;
    manifest.step = 2;
    manifest.claim = 1;
    manifest.stage = "model";
    manifest.fingerprint = std::string(64, 'a');
    const absl::Status saved = SaveCheckpoint(store, fsdp, gang, manifest, /*keep=*/2);
    EXPECT_TRUE(saved.ok()) << saved;
    const std::string text = describe(fsdp);
    if (gang.rank() == 0) whole = text;
  });
  cluster::SingleRank alone;
  SmallTransformer network(names);
  Fsdp fsdp(network.units(), &alone);
  storage::CheckpointStore store(*Env::Posix(), dir.path());
  const auto resumed = RestoreCheckpoint(store, fsdp, alone, std::string(64, 'a'));
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(describe(fsdp), whole);
  std::vector<float> read(4);
  for (const char* unit : {"block.0", "block.1.frozen"}) {
    EXPECT_TRUE(store.ReadFlat(resumed->manifest, "param", unit, 0, read).ok());
    EXPECT_FALSE(store.ReadFlat(resumed->manifest, "exp_avg", unit, 0, read).ok());
  }
  EXPECT_TRUE(store.ReadFlat(resumed->manifest, "exp_avg", "block.1", 0, read).ok());
  // A checkpoint without averages cannot be gone on from where they are needed.
  SmallTransformer other({"block.1.mlp.up.weight"});
  Fsdp trains(other.units(), &alone);
  EXPECT_FALSE(RestoreCheckpoint(store, trains, alone, std::string(64, 'a')).ok());
}

// Passes collectives on and keeps their names.
class RecordedCollectives final : public cluster::ForwardingCollectives {
 public:
  using ForwardingCollectives::ForwardingCollectives;
  std::vector<std::string> TakeNames() { return std::exchange(names_, {}); }

  cluster::Pending AllGather(cluster::Group group, cluster::ConstBuffer in, cluster::Buffer out,
                             std::string_view what) override {
    names_.push_back("G " + std::string(what));
    return gang().AllGather(group, in, out, what);
  }
  cluster::Pending ReduceScatterSum(cluster::Group group, cluster::ConstBuffer in,
                                    cluster::Buffer out, std::string_view what) override {
    names_.push_back("R " + std::string(what));
    return gang().ReduceScatterSum(group, in, out, what);
  }

 private:
  std::vector<std::string> names_;
};

using List = std::vector<std::string>;

// What the second of two steps makes, when the order is known.
List CollectivesOfAStep(const GangSetup& setup, const Names& frozen) {
  std::vector<std::string> names;
  cluster::RunInProcessGang(setup.ranks, [&](cluster::Collectives& gang) {
    RecordedCollectives recorded(&gang);
    SmallTransformer network(frozen);
    Fsdp fsdp(network.units(), &recorded, *PlanShards(setup.sharding, gang), setup.options());
    InitialiseSmall(fsdp);
    for (uint64_t step = 0; step < 2; ++step) {
      recorded.TakeNames();
      ASSERT_TRUE(AccumulateStep(fsdp, network, setup, gang.rank(), step).ok());
      fsdp.OptimizerStep({.warmup_steps = 0}, step, 1);
    }
    if (gang.rank() == 0) names = recorded.TakeNames();
  });
  return names;
}

TEST(Frozen, TakesPartInTheCollectivesThatItNeedsOnly) {
  EXPECT_EQ(CollectivesOfAStep({2}, {"input", "block.1"}),
            (List{"G input", "G block.0", "G block.1", "G block.2", "G head", "G block.2", "R head",
                  "G block.1", "R block.2", "G block.0", "R block.0"}));
  // Nothing below what trains is differentiated.
  EXPECT_EQ(
      CollectivesOfAStep({2}, {"input", "block.0", "block.1", "head"}),
      (List{"G input", "G block.0", "G block.1", "G block.2", "G head", "G block.2", "R block.2"}));
  // A block that is recomputed has its frozen parameters gathered for that.
  EXPECT_EQ(CollectivesOfAStep({2, Sharding::kFull, jobs::Accumulate::kReduced, 3},
                               {"block.0", "block.1", "block.2", "head"}),
            (List{"G input", "G block.0", "G block.1", "G block.2", "G head", "G block.2",
                  "G block.1", "G block.0", "G input", "R input"}));
}

// The input needs no gradient, so autograd keeps no weight that has none.
TEST(Frozen, IsNotGatheredForAGradientThatNobodyNeeds) {
  cluster::RunInProcessGang(2, [](cluster::Collectives& gang) {
    model::Unit first("first"), second("second");
    model::Parameter& weight = first.Add("first.weight", {4, 3}, model::InitKind::kWeight);
    const model::Parameter& bias = first.Add("first.bias", {4}, model::InitKind::kZero);
    const model::Parameter& last = second.Add("second.weight", {2, 4}, model::InitKind::kWeight);
    weight.requires_grad = false;
    RecordedCollectives recorded(&gang);
    Fsdp fsdp({&first, &second}, &recorded);
    InitialiseSmall(fsdp);
    for (int step = 0; step < 2; ++step) {
      recorded.TakeNames();
      fsdp.BeginStep();
      fsdp.BeginPass(/*is_last=*/true);
      first.Enter();
      const at::Tensor hidden =
          first.Exit(at::tanh(at::linear(at::ones({5, 3}), weight.value, bias.value)));
      second.Enter();
      second.Exit(at::linear(hidden, last.value)).sum().backward();
      ASSERT_TRUE(fsdp.FinishPass().ok());
    }
    EXPECT_EQ(recorded.TakeNames(),
              (List{"G first", "G first.frozen", "G second", "G first", "R second", "R first"}));
  });
}

TEST(Frozen, IsGatheredOnceWhereParametersStayWhole) {
  const List names = CollectivesOfAStep({2, Sharding::kGradient}, {"input", "block.1"});
  EXPECT_EQ(names, (List{"G block.0", "G block.2", "G head", "R head", "R block.2", "R block.0"}));
}

// Looks when the gradient has come through all blocks.
struct AfterTheBlocks : BackwardListener {
  model::Unit* frozen = nullptr;
  size_t bytes = 0, looks = 0;
  void BeforeBackward() override {
    bytes = frozen->parameters()[0].value.storage().nbytes();
    ++looks;
  }
  void GradientAccumulated() override {}
};

TEST(Frozen, IsFreedWhenNothingNeedsItAnyMore) {
  for (const int64_t recompute : {0, 3}) {
    const GangSetup setup{2, Sharding::kFull, jobs::Accumulate::kReduced, recompute};
    cluster::RunInProcessGang(setup.ranks, [&](cluster::Collectives& gang) {
      SmallTransformer network({"block.1"});
      Fsdp fsdp(network.units(), &gang, *PlanShards(setup.sharding, gang), setup.options());
      InitialiseSmall(fsdp);
      AfterTheBlocks listener;
      listener.frozen = network.units()[2];
      for (uint64_t step = 0; step < 2; ++step) {
        ASSERT_TRUE(AccumulateStep(fsdp, network, setup, gang.rank(), step, &listener).ok());
        EXPECT_EQ(listener.looks, step + 1);
        EXPECT_EQ(listener.bytes, 0u);
      }
    });
  }
}

}  // namespace
}  // namespace halcyon::worker
