#include "worker/fsdp/fsdp.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <span>

#include "model/initialise.h"
#include "model/kernels/device_kernels.h"
#include "model/learning_rate.h"

namespace halcyon::worker {
namespace {

// Reductions under way: each holds a unit's whole gradients. One computes, one is sent.
constexpr size_t kReductionsMax = 1;

void InitialiseArray(GatheredArray& array, jobs::InitRule rule, double init_std, uint64_t seed) {
  UnitShard& shard = array.shard();
  const int64_t length = shard.value.numel();
  at::Tensor values = at::zeros({length}, at::kFloat);
  const std::span<float> drawn(values.data_ptr<float>(), static_cast<size_t>(length));
  int64_t offset = 0;
  for (const model::Parameter* parameter : array.parameters()) {
    const int64_t begin = std::max(offset, shard.first);
    const int64_t end = std::min(offset + parameter->numel(), shard.first + length);
    if (begin < end) {
      model::DrawInitial(*parameter, rule, init_std, seed, begin - offset,
                         drawn.subspan(begin - shard.first, end - begin));
    }
    offset += parameter->numel();
  }
  shard.value.copy_(values);
  if (!shard.trains()) return;
  shard.exp_avg.zero_();
  shard.exp_avg_sq.zero_();
}

ShardPlan FullPlan(const cluster::Collectives& collectives) {
  return *PlanShards(jobs::Sharding::kFull, collectives);
}

}  // namespace

Fsdp::Fsdp(const std::vector<model::Unit*>& units, cluster::Collectives* collectives,
           const ShardPlan& plan, const FsdpOptions& options)
    : plan_(plan), options_(options), pool_(options.device) {
  UnitOwner* const owner = this;  // a private base: converts only here
  for (model::Unit* unit : units) {
    units_.push_back(std::make_unique<ShardedUnit>(unit, units_.size(), plan_, options_,
                                                   collectives, &pool_, owner));
  }
}

Fsdp::Fsdp(const std::vector<model::Unit*>& units, cluster::Collectives* collectives)
    : Fsdp(units, collectives, FullPlan(*collectives), {}) {}

Fsdp::~Fsdp() = default;

std::vector<UnitShard*> Fsdp::shards() {
  std::vector<UnitShard*> shards;
  for (auto& unit : units_) {
    for (GatheredArray* array : unit->arrays()) shards.push_back(&array->shard());
  }
  return shards;
}

std::vector<storage::UnitLayout> Fsdp::Layouts() const {
  std::vector<storage::UnitLayout> layouts;
  for (const auto& unit : units_) {
    for (const GatheredArray* array : unit->arrays()) layouts.push_back(array->Layout());
  }
  return layouts;
}

int64_t Fsdp::parameters() const {
  int64_t total = 0;
  for (const auto& unit : units_) total += unit->unit().numel();
  return total;
}

void Fsdp::Initialise(jobs::InitRule rule, double init_std, uint64_t seed) {
  for (auto& unit : units_) {
    for (GatheredArray* array : unit->arrays()) InitialiseArray(*array, rule, init_std, seed);
  }
  ValuesChanged();
}

void Fsdp::ValuesChanged() {
  for (auto& unit : units_) unit->Free();
}

void Fsdp::BeginStep() {
  for (auto& unit : units_) unit->BeginStep();
}

void Fsdp::BeginPass(bool is_last) {
  in_pass_ = true;
  is_last_pass_ = is_last;
  order_.BeginPass();
}

void Fsdp::ReportUse(ShardedUnit& unit, bool backward) {
  if (options_.progress == nullptr) return;
  if (!in_pass_) return options_.progress->Advance();
  options_.progress->Enter(backward ? cluster::WorkPhase::kBackward : cluster::WorkPhase::kForward,
                           unit.unit().name());
}

void Fsdp::Use(ShardedUnit& unit, bool backward) {
  ReportUse(unit, backward);
  if (backward && options_.sharding != jobs::Sharding::kGradient) {
    for (auto& other : units_) {
      if (other.get() != &unit) other->FreeUnneeded();
    }
  }
  unit.StartGather(backward);
  if (in_pass_) {
    const auto phase = backward ? UnitOrder::Phase::kBackward : UnitOrder::Phase::kForward;
    const auto next = order_.Next({phase, unit.index()});
    if (next) units_[next->unit]->StartGather(next->phase == UnitOrder::Phase::kBackward);
  }
  status_.Update(unit.FinishGather(backward));
}

bool Fsdp::StaysWhole(const ShardedUnit& unit) const {
  if (options_.sharding == jobs::Sharding::kGradient) return true;
  if (!in_pass_) return false;
  return order_.is_recorded() ? order_.TurnsAt(unit.index()) : unit.index() + 1 == units_.size();
}

bool Fsdp::Recomputes(const ShardedUnit& unit) {
  if (recomputed_.contains(unit.index())) return true;
  if (static_cast<int64_t>(recomputed_.size()) >= options_.recompute) return false;
  recomputed_.insert(unit.index());
  return true;
}

void Fsdp::GradientsReady(ShardedUnit& unit) {
  if (options_.sharding != jobs::Sharding::kGradient) {
    unit.FreeTrained();
    unit.FreeUnneeded();
  }
  if (options_.accumulate == jobs::Accumulate::kLocal && in_pass_ && !is_last_pass_) {
    unit.KeepGradients();
    return;
  }
  FinishReductions(kReductionsMax);
  unit.StartReduction();
  reducing_.push_back(&unit);
}

void Fsdp::FinishReductions(size_t count) {
  while (reducing_.size() > count) {
    status_.Update(reducing_.front()->FinishReduction());
    reducing_.pop_front();
  }
}

absl::Status Fsdp::FinishPass() {
  // Reverse: the order in which complete units reduce, should several be left.
  for (auto unit = units_.rbegin(); unit != units_.rend(); ++unit) (*unit)->FinishBackward();
  FinishReductions(0);
  if (in_pass_) order_.EndPass();
  in_pass_ = false;
  if (options_.sharding != jobs::Sharding::kGradient) {
    // Gathered ahead for a pass that then took another way.
    for (auto& unit : units_) unit->Free();
  }
  if (!is_last_pass_) return status_;
  std::vector<cluster::Pending> gathers;
  for (auto& unit : units_) {
    unit->SettleGradient();
    gathers.push_back(unit->GatherReplicas());
  }
  for (cluster::Pending& gather : gathers) status_.Update(gather.Wait());
  return status_;
}

double Fsdp::LocalGradientSquares() const {
  const model::DeviceKernels& kernels = model::KernelsFor(options_.device);
  const at::Tensor squares = at::zeros({static_cast<int64_t>(units_.size())},
                                       at::TensorOptions(at::kDouble).device(options_.device));
  for (size_t u = 0; u < units_.size(); ++u) {
    if (!units_[u]->trains()) continue;
    kernels.SumOfSquares(units_[u]->slice_gradient(),
                         squares.narrow(0, static_cast<int64_t>(u), 1));
  }
  // The one wait for the device: all units' sums come over together.
  const at::Tensor on_host = squares.cpu();
  double sum = 0;
  for (size_t u = 0; u < units_.size(); ++u) sum += on_host.const_data_ptr<double>()[u];
  return sum;
}

void Fsdp::OptimizerStep(const jobs::TrainSpec& train, uint64_t step, double gradient_scale) {
  const double learning_rate = model::LearningRate(train, step);
  const model::DeviceKernels& kernels = model::KernelsFor(options_.device);
  for (auto& unit : units_) {
    if (!unit->trains()) continue;
    const UnitShard& shard = unit->trained();
    kernels.AdamW({train, learning_rate, step + 1, gradient_scale},
                  {shard.value, shard.exp_avg, shard.exp_avg_sq, shard.gradient, shard.decays});
    unit->FreeTrained();
  }
}

absl::Status Fsdp::VisitWhole(
    std::span<const size_t> order,
    const std::function<void(size_t place, const at::Tensor& flat)>& visit) {
  std::vector<GatheredArray*> arrays;
  for (auto& unit : units_) std::ranges::copy(unit->arrays(), std::back_inserter(arrays));
  for (size_t place = 0; place < order.size(); ++place) {
    RETURN_IF_ERROR(status_);
    GatheredArray* const array = arrays.at(order[place]);
    auto flat = array->GatherValues();
    status_.Update(flat.status());
    RETURN_IF_ERROR(status_);
    visit(place, *flat);
    array->ReturnValues(*flat);
  }
  return absl::OkStatus();
}

}  // namespace halcyon::worker
