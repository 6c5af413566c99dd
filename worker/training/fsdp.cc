#include "worker/training/fsdp.h"

#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "model/initialise.h"
#include "model/learning_rate.h"
#include "model/optimizer.h"

namespace halcyon::worker {

// One unit: its shard, and the whole flat arrays while they exist.
class Fsdp::ShardedUnit : public model::UnitHooks {
 public:
  ShardedUnit(model::Unit* unit, cluster::Collectives* collectives, bool keep_after_forward);
  ~ShardedUnit() override { unit_->set_hooks(nullptr); }

  void BeforeForward(model::Unit& unit) override;
  at::Tensor AfterForward(model::Unit& unit, const at::Tensor& output) override;
  void BeforeBackward() { Gather(); }
  void GradientAccumulated();

  void Gather();
  void Free();
  void FinishBackward();

  model::Unit& unit() { return *unit_; }
  UnitShard& shard() { return shard_; }
  const absl::Status& status() const { return status_; }
  storage::UnitLayout Layout() const;

 private:
  void MakeViews();
  void ReduceGradients();

  model::Unit* unit_;
  cluster::Collectives* collectives_;
  bool keep_after_forward_;  // the last unit: its backward follows at once
  int64_t numel_;
  UnitShard shard_;
  at::Tensor whole_;  // [padded]; its storage comes and goes, the parameters are views of it
  bool gathered_ = false;
  size_t gradients_pending_ = 0;
  bool in_backward_ = false;
  // Accumulators live only as long as somebody holds them, and their hooks with them.
  std::vector<std::shared_ptr<torch::autograd::Node>> accumulators_;
  absl::Status status_;
};

namespace {

// Identity whose backward tells the unit that gradients are about to reach its output.
template <typename UnitType>
struct BackwardGate : public torch::autograd::Function<BackwardGate<UnitType>> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& output,
                            int64_t unit) {
    context->saved_data["unit"] = unit;
    return output;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    reinterpret_cast<UnitType*>(context->saved_data["unit"].toInt())->BeforeBackward();
    return {gradients[0], at::Tensor()};
  }
};

template <typename UnitType>
class AccumulatedHook : public torch::autograd::FunctionPostHook {
 public:
  explicit AccumulatedHook(UnitType* unit) : unit_(unit) {}
  torch::autograd::variable_list operator()(
      const torch::autograd::variable_list& outputs,
      const torch::autograd::variable_list& /*inputs*/) override {
    unit_->GradientAccumulated();
    return outputs;
  }

 private:
  UnitType* unit_;
};

std::span<float> FloatsOf(const at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<size_t>(tensor.numel())};
}

}  // namespace

Fsdp::ShardedUnit::ShardedUnit(model::Unit* unit, cluster::Collectives* collectives,
                               bool keep_after_forward)
    : unit_(unit),
      collectives_(collectives),
      keep_after_forward_(keep_after_forward),
      numel_(unit->numel()) {
  const uint64_t size = collectives->size();
  const uint64_t length = (numel_ + size - 1) / size;
  shard_.unit = unit->name();
  shard_.first = length * collectives->rank();
  for (auto* array : {&shard_.value, &shard_.gradient, &shard_.exp_avg, &shard_.exp_avg_sq}) {
    array->assign(length, 0.0f);
  }
  shard_.decays.assign(length, 0);
  whole_ = at::empty({static_cast<int64_t>(length * size)}, at::kFloat);
  MakeViews();
  gathered_ = true;
  Free();
  unit->set_hooks(this);
}

void Fsdp::ShardedUnit::MakeViews() {
  int64_t offset = 0;
  for (model::Parameter& parameter : unit_->parameters()) {
    parameter.value = whole_.narrow(0, offset, parameter.numel()).view(parameter.shape).detach();
    parameter.value.set_requires_grad(true);
    auto accumulator = torch::autograd::impl::grad_accumulator(parameter.value);
    accumulator->add_post_hook(std::make_unique<AccumulatedHook<ShardedUnit>>(this));
    accumulators_.push_back(std::move(accumulator));
    const int64_t begin = std::max<int64_t>(offset, shard_.first);
    const int64_t end =
        std::min<int64_t>(offset + parameter.numel(), shard_.first + shard_.value.size());
    if (parameter.decays && begin < end) {
      std::fill(shard_.decays.begin() + (begin - shard_.first),
                shard_.decays.begin() + (end - shard_.first), 1);
    }
    offset += parameter.numel();
  }
}

storage::UnitLayout Fsdp::ShardedUnit::Layout() const {
  storage::UnitLayout layout{unit_->name(), static_cast<uint64_t>(numel_), {}};
  uint64_t offset = 0;
  for (const model::Parameter& parameter : unit_->parameters()) {
    layout.parameters.push_back({parameter.name, parameter.shape, offset});
    offset += parameter.numel();
  }
  return layout;
}

void Fsdp::ShardedUnit::Gather() {
  if (gathered_) return;
  c10::StorageImpl* storage = whole_.storage().unsafeGetStorageImpl();
  const size_t bytes = whole_.numel() * sizeof(float);
  storage->set_data_ptr_noswap(c10::GetCPUAllocator()->allocate(bytes));
  storage->set_nbytes(bytes);
  // Written through the raw pointer: autograd must not see a new version of its saved tensors.
  status_.Update(collectives_->AllGather(shard_.value, FloatsOf(whole_)));
  gathered_ = true;
}

void Fsdp::ShardedUnit::Free() {
  if (!gathered_) return;
  c10::StorageImpl* storage = whole_.storage().unsafeGetStorageImpl();
  storage->set_data_ptr_noswap(at::DataPtr());
  storage->set_nbytes(0);
  gathered_ = false;
}

void Fsdp::ShardedUnit::BeforeForward(model::Unit&) { Gather(); }

at::Tensor Fsdp::ShardedUnit::AfterForward(model::Unit&, const at::Tensor& output) {
  if (!output.requires_grad()) {
    Free();
    return output;
  }
  gradients_pending_ = unit_->parameters().size();
  in_backward_ = true;
  if (!keep_after_forward_) Free();
  return BackwardGate<ShardedUnit>::apply(output, reinterpret_cast<int64_t>(this));
}

void Fsdp::ShardedUnit::GradientAccumulated() {
  HALCYON_CHECK(gradients_pending_ > 0);
  if (--gradients_pending_ == 0) ReduceGradients();
}

void Fsdp::ShardedUnit::FinishBackward() {
  // A parameter outside the graph has no accumulator call; the rest of the unit is reduced here.
  if (in_backward_) ReduceGradients();
}

void Fsdp::ShardedUnit::ReduceGradients() {
  in_backward_ = false;
  gradients_pending_ = 0;
  Free();
  std::vector<float> gradients(whole_.numel(), 0.0f);
  int64_t offset = 0;
  for (model::Parameter& parameter : unit_->parameters()) {
    at::Tensor& gradient = parameter.value.mutable_grad();
    if (gradient.defined()) {
      const at::Tensor dense = gradient.contiguous();
      std::memcpy(gradients.data() + offset, dense.data_ptr<float>(),
                  parameter.numel() * sizeof(float));
      gradient.reset();
    }
    offset += parameter.numel();
  }
  std::vector<float> reduced(shard_.gradient.size());
  status_.Update(collectives_->ReduceScatterSum(gradients, reduced));
  for (size_t i = 0; i < reduced.size(); ++i) shard_.gradient[i] += reduced[i];
}

Fsdp::Fsdp(std::vector<model::Unit*> units, cluster::Collectives* collectives) {
  for (model::Unit* unit : units) {
    units_.push_back(std::make_unique<ShardedUnit>(unit, collectives, unit == units.back()));
  }
}

Fsdp::~Fsdp() = default;

std::vector<UnitShard*> Fsdp::shards() {
  std::vector<UnitShard*> shards;
  for (auto& unit : units_) shards.push_back(&unit->shard());
  return shards;
}

std::vector<storage::UnitLayout> Fsdp::Layouts() const {
  std::vector<storage::UnitLayout> layouts;
  for (const auto& unit : units_) layouts.push_back(unit->Layout());
  return layouts;
}

int64_t Fsdp::parameters() const {
  int64_t total = 0;
  for (const auto& unit : units_) total += unit->unit().numel();
  return total;
}

void Fsdp::Initialise(jobs::InitRule rule, double init_std, uint64_t seed) {
  for (auto& unit : units_) {
    UnitShard& shard = unit->shard();
    for (auto* array : {&shard.value, &shard.exp_avg, &shard.exp_avg_sq}) {
      std::fill(array->begin(), array->end(), 0.0f);
    }
    uint64_t offset = 0;
    for (const model::Parameter& parameter : unit->unit().parameters()) {
      const uint64_t begin = std::max(offset, shard.first);
      const uint64_t end = std::min(offset + parameter.numel(), shard.first + shard.value.size());
      if (begin < end) {
        model::DrawInitial(parameter, rule, init_std, seed, begin - offset,
                           std::span(shard.value).subspan(begin - shard.first, end - begin));
      }
      offset += parameter.numel();
    }
  }
}

void Fsdp::ZeroGradients() {
  for (auto& unit : units_) {
    std::fill(unit->shard().gradient.begin(), unit->shard().gradient.end(), 0.0f);
  }
}

absl::Status Fsdp::FinishBackward() {
  // Reverse: the order in which complete units reduce, should several be left.
  for (auto unit = units_.rbegin(); unit != units_.rend(); ++unit) (*unit)->FinishBackward();
  for (auto& unit : units_) RETURN_IF_ERROR(unit->status());
  return absl::OkStatus();
}

double Fsdp::LocalGradientSquares() const {
  double squares = 0;
  for (const auto& unit : units_) {
    for (const float g : unit->shard().gradient) squares += double{g} * g;
  }
  return squares;
}

void Fsdp::OptimizerStep(const jobs::TrainSpec& train, uint64_t step, double gradient_scale) {
  const double learning_rate = model::LearningRate(train, step);
  for (auto& unit : units_) {
    UnitShard& shard = unit->shard();
    model::AdamWStep(train, learning_rate, step + 1, gradient_scale,
                     {.value = shard.value,
                      .exp_avg = shard.exp_avg,
                      .exp_avg_sq = shard.exp_avg_sq,
                      .gradient = shard.gradient,
                      .decays = shard.decays});
  }
}

absl::Status Fsdp::VisitWhole(const std::function<absl::Status(model::Unit&)>& visit) {
  for (auto& unit : units_) {
    unit->Gather();
    RETURN_IF_ERROR(unit->status());
    const absl::Status visited = visit(unit->unit());
    unit->Free();
    RETURN_IF_ERROR(visited);
  }
  return absl::OkStatus();
}

}  // namespace halcyon::worker
