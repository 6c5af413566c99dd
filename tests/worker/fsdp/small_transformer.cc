#include "tests/worker/fsdp/small_transformer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>

#include "cluster/in_process_gang.h"
#include "model/fused_layers.h"
#include "model/initialise.h"
#include "model/token_loss.h"

namespace halcyon::worker {
namespace {

constexpr int64_t kVocab = 13, kSteps = 6, kHidden = 16;
constexpr uint64_t kSeed = 9;
// Divides by none of the rank counts but 1 and 3, and gives each rank four passes.
constexpr uint64_t kBatch = 45;
constexpr uint64_t kPasses = 4;

// A large epsilon keeps the update of an element whose gradient is nearly zero from hanging on that
// gradient's rounding.
jobs::TrainSpec Spec() {
  return {.learning_rate = 0.01,
          .warmup_steps = 0,
          .decay = jobs::LearningRateDecay::kConstant,
          .epsilon = 1e-3,
          .clip_norm = 0.1};
}

jobs::ModelSpec NetworkSpec() {
  jobs::ModelSpec spec;
  spec.hidden_size = kHidden;
  spec.intermediate_size = 24;
  spec.layers = 3;
  spec.attention_heads = 4;
  spec.key_value_heads = 2;
  return spec;
}

double ScaleFor(double norm) { return norm > Spec().clip_norm ? Spec().clip_norm / norm : 1; }

std::vector<MicroBatch> PartsOf(const GangSetup& setup, int rank, uint64_t step) {
  const uint64_t ranks = static_cast<uint64_t>(setup.ranks), samples = (kBatch + ranks - 1) / ranks;
  const uint64_t part = setup.in_parts ? (samples + kPasses - 1) / kPasses : 0;
  return PlanBatch({kBatch, part, static_cast<uint64_t>(rank), ranks},
                   pipeline::MixtureOrder(kSeed, {{.items = 200}}), step);
}

// [samples, kSteps + 1]
at::Tensor TokensOf(const std::vector<uint64_t>& items) {
  std::vector<at::Tensor> rows;
  for (const uint64_t item : items) {
    const auto first = static_cast<int64_t>(item * item + 3 * item);
    rows.push_back((at::arange(kSteps + 1).pow(2) * 5 + first).remainder(kVocab));
  }
  return at::stack(rows);
}

// Loshchilov and Hutter, algorithm 2, in float64; `update` = 1, 2, ...
struct AdamWOfOne {
  at::Tensor average, square_average;
  void Update(const at::Tensor& gradient, int update, bool decays, at::Tensor& value) {
    const jobs::TrainSpec spec = Spec();
    if (!average.defined()) average = square_average = at::zeros_like(value);
    average = spec.beta1 * average + (1 - spec.beta1) * gradient;
    square_average = spec.beta2 * square_average + (1 - spec.beta2) * gradient * gradient;
    const at::Tensor unbiased = average / (1 - std::pow(spec.beta1, update));
    const at::Tensor size = (square_average / (1 - std::pow(spec.beta2, update))).sqrt();
    const at::Tensor decay = decays ? spec.weight_decay * value : at::zeros_like(value);
    value -= spec.learning_rate * (unbiased / (size + spec.epsilon) + decay);
  }
};

// What the ranks' shards hold together.
struct Flat {
  std::vector<float> values, gradients;
};

void CopyShard(const UnitShard& shard, const at::Tensor& array, std::vector<float>* flat) {
  for (int64_t i = 0; i < array.numel(); ++i) {
    if (shard.first + i < std::ssize(*flat)) {
      (*flat)[shard.first + i] = array.const_data_ptr<float>()[i];
    }
  }
}

void Split(const storage::UnitLayout& layout, const std::vector<float>& flat, NamedArrays* arrays) {
  for (const auto& parameter : layout.parameters) {
    int64_t count = 1;
    for (const int64_t size : parameter.shape) count *= size;
    const at::Tensor all = at::tensor(at::ArrayRef<float>(flat.data(), flat.size()));
    (*arrays)[parameter.name] =
        all.narrow(0, static_cast<int64_t>(parameter.offset), count).to(at::kDouble);
  }
}

}  // namespace

SmallTransformer::SmallTransformer(const std::set<std::string>& frozen)
    : table_(input_.Add("input.embedding", {kVocab, kHidden}, model::InitKind::kEmbedding)),
      backbone_(NetworkSpec()),
      norm_(head_, "final_norm", kHidden, 1e-6),
      output_(head_.Add("output.weight", {kVocab, kHidden}, model::InitKind::kWeight)) {
  for (model::Unit* unit : units()) {
    for (model::Parameter& parameter : unit->parameters()) {
      parameter.requires_grad = !frozen.contains(unit->name()) && !frozen.contains(parameter.name);
    }
  }
}

std::vector<model::Unit*> SmallTransformer::units() {
  std::vector<model::Unit*> units = backbone_.units();
  units.insert(units.begin(), &input_);
  units.push_back(&head_);
  return units;
}

at::Tensor SmallTransformer::LossOf(const MicroBatch& batch, BackwardListener* at_input) {
  const at::Tensor tokens = TokensOf(batch.items);
  const at::Tensor ids = tokens.narrow(1, 0, kSteps).reshape({-1});
  input_.Enter();
  at::Tensor rows = table_.value.scalar_type() == at::kDouble
                        ? at::embedding(table_.value, ids)
                        : model::EmbeddedRows(table_.value, ids);
  rows = input_.Exit(rows);
  if (at_input != nullptr && rows.requires_grad()) rows = GateBackward(rows, at_input);
  rows = backbone_(rows, tokens.size(0));
  const at::Tensor weights = at::tensor(batch.weights).to(rows.scalar_type()) /
                             (batch.divisor * static_cast<double>(kSteps));
  head_.Enter();
  const at::Tensor labels = tokens.narrow(1, 1, kSteps).reshape({-1});
  return head_.Exit(model::WeightedTokenLoss(norm_(rows), output_.value, labels,
                                             weights.repeat_interleave(kSteps))
                        .total);
}

void InitialiseSmall(Fsdp& fsdp) { fsdp.Initialise(jobs::InitRule::kFanIn, 0.5, kSeed); }

TrainedNetwork TrainInFloat64(const std::set<std::string>& frozen, uint64_t steps) {
  SmallTransformer network(frozen);
  std::map<std::string, AdamWOfOne> optimizers;
  for (model::Unit* unit : network.units()) {
    unit->Materialise();
    model::Initialise(*unit, jobs::InitRule::kFanIn, 0.5, kSeed);
    for (model::Parameter& parameter : unit->parameters()) {
      parameter.value = parameter.value.detach().to(at::kDouble);
      parameter.value.requires_grad_(parameter.requires_grad);
    }
  }
  TrainedNetwork trained;
  for (uint64_t step = 0; step < steps; ++step) {
    network.LossOf(PartsOf({}, 0, step)[0]).backward();
    trained.gradients.clear();
    double squares = 0;
    for (model::Unit* unit : network.units()) {
      for (model::Parameter& parameter : unit->parameters()) {
        if (!parameter.requires_grad) continue;
        trained.gradients[parameter.name] = parameter.value.grad().detach().clone().flatten();
        squares += parameter.value.grad().square().sum().item<double>();
        parameter.value.mutable_grad().reset();
      }
    }
    const c10::NoGradGuard no_grad;
    for (model::Unit* unit : network.units()) {
      for (model::Parameter& parameter : unit->parameters()) {
        if (!parameter.requires_grad) continue;
        const at::Tensor gradient =
            trained.gradients[parameter.name].view(parameter.shape) * ScaleFor(std::sqrt(squares));
        optimizers[parameter.name].Update(gradient, static_cast<int>(step) + 1, parameter.decays,
                                          parameter.value);
      }
    }
  }
  for (model::Unit* unit : network.units()) {
    for (const model::Parameter& parameter : unit->parameters()) {
      trained.values[parameter.name] = parameter.value.detach().flatten();
    }
  }
  return trained;
}

absl::Status AccumulateStep(Fsdp& fsdp, SmallTransformer& network, const GangSetup& setup, int rank,
                            uint64_t step, BackwardListener* at_input) {
  fsdp.BeginStep();
  const auto parts = PartsOf(setup, rank, step);
  for (const MicroBatch& part : parts) {
    fsdp.BeginPass(&part == &parts.back());
    network.LossOf(part, at_input).backward();
    RETURN_IF_ERROR(fsdp.FinishPass());
  }
  return absl::OkStatus();
}

void TrainRank(Fsdp& fsdp, SmallTransformer& network, const GangSetup& setup,
               cluster::Collectives& collectives, uint64_t steps) {
  InitialiseSmall(fsdp);
  for (uint64_t step = 0; step < steps; ++step) {
    ASSERT_TRUE(AccumulateStep(fsdp, network, setup, collectives.rank(), step).ok());
    std::vector<double> squares = {fsdp.LocalGradientSquares()};
    ASSERT_TRUE(collectives.AllReduceSum(squares).ok());
    fsdp.OptimizerStep(Spec(), step, ScaleFor(std::sqrt(squares[0])));
  }
}

TrainedNetwork TrainSharded(const GangSetup& setup, const std::set<std::string>& frozen,
                            uint64_t steps, const AtEnd& at_end) {
  std::map<std::string, Flat> flat;
  std::vector<storage::UnitLayout> layouts;
  std::mutex mutex;
  const auto rank_main = [&](cluster::Collectives& collectives) {
    SmallTransformer network(frozen);
    Fsdp fsdp(network.units(), &collectives, *PlanShards(setup.sharding, collectives),
              setup.options());
    TrainRank(fsdp, network, setup, collectives, steps);
    const std::lock_guard lock(mutex);
    layouts = fsdp.Layouts();
    for (size_t i = 0; i < layouts.size(); ++i) {
      const UnitShard& shard = *fsdp.shards()[i];
      Flat& together = flat[layouts[i].name];
      together.values.resize(layouts[i].numel);
      CopyShard(shard, shard.value, &together.values);
      if (!shard.trains()) continue;
      together.gradients.resize(layouts[i].numel);
      CopyShard(shard, shard.gradient, &together.gradients);
    }
    if (at_end) at_end(fsdp);
  };
  cluster::RunInProcessGang(setup.ranks, rank_main, kRanksPerNode);
  TrainedNetwork trained;
  for (const storage::UnitLayout& layout : layouts) {
    const Flat& together = flat[layout.name];
    Split(layout, together.values, &trained.values);
    if (!together.gradients.empty()) Split(layout, together.gradients, &trained.gradients);
  }
  return trained;
}

double RelativeError(const NamedArrays& found, const NamedArrays& expected,
                     const NamedArrays& origin) {
  EXPECT_EQ(found.size(), expected.size());
  double errors = 0, sizes = 0;
  for (const auto& [name, wanted] : expected) {
    if (!found.contains(name)) {
      ADD_FAILURE() << "no " << name;
      continue;
    }
    errors += (found.at(name) - wanted).square().sum().item<double>();
    const at::Tensor from = origin.contains(name) ? origin.at(name) : at::zeros_like(wanted);
    sizes += (wanted - from).square().sum().item<double>();
  }
  return std::sqrt(errors / sizes);
}

}  // namespace halcyon::worker
