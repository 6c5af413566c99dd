#include "worker/fsdp/sharded_unit.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <string>
#include <utility>

#include "base/check.h"
#include "worker/fsdp/tensor_buffer.h"

namespace halcyon::worker {

ShardedUnit::ShardedUnit(model::Unit* unit, size_t index, const ShardPlan& plan,
                         const FsdpOptions& options, cluster::Collectives* collectives,
                         BufferPool* pool, UnitOwner* owner)
    : unit_(unit),
      index_(index),
      plan_(plan),
      options_(options),
      collectives_(collectives),
      pool_(pool),
      owner_(owner) {
  GatheredArray::Parameters trained, frozen;
  for (model::Parameter& parameter : unit->parameters()) {
    (parameter.requires_grad ? trained : frozen).push_back(&parameter);
  }
  const auto gathered = [&](const std::string& name, const GatheredArray::Parameters& parameters) {
    return std::make_unique<GatheredArray>(name, parameters, plan, options, collectives, pool);
  };
  if (!frozen.empty()) {
    frozen_ = gathered(unit->name() + (trained.empty() ? "" : ".frozen"), frozen);
  }
  if (!trained.empty()) {
    trained_ = gathered(unit->name(), trained);
    for (model::Parameter* parameter : trained) {
      accumulators_.push_back(ListenToGradient(parameter->value, this));
    }
    slice_gradient_ = plan.replicas == 1 ? trained_->shard().gradient
                                         : at::zeros({trained_->shard().slice_length},
                                                     trained_->shard().gradient.options());
  }
  unit->set_hooks(this);
}

ShardedUnit::~ShardedUnit() {
  unit_->set_hooks(nullptr);
  // It must not write into memory that is gone. Its error has no reader any more.
  reduction_.Wait().IgnoreError();
}

std::vector<GatheredArray*> ShardedUnit::arrays() {
  std::vector<GatheredArray*> arrays;
  for (const auto& array : {trained_.get(), frozen_.get()}) {
    if (array != nullptr) arrays.push_back(array);
  }
  return arrays;
}

// A unit that is recomputed has no nodes of its own before it runs again.
bool ShardedUnit::NeedsFrozen() const {
  return frozen_ != nullptr && (recomputes_ || frozen_->IsHeld());
}

void ShardedUnit::StartGather(bool backward) {
  if (trained_ != nullptr) trained_->StartGather();
  if (backward ? NeedsFrozen() : frozen_ != nullptr) frozen_->StartGather();
}

absl::Status ShardedUnit::FinishGather(bool backward) {
  absl::Status status;
  if (trained_ != nullptr) status = trained_->FinishGather();
  if (backward ? NeedsFrozen() : frozen_ != nullptr) status.Update(frozen_->FinishGather());
  return status;
}

void ShardedUnit::Free() {
  for (GatheredArray* array : arrays()) array->Free();
}

void ShardedUnit::FreeTrained() {
  if (trained_ != nullptr) trained_->Free();
}

void ShardedUnit::FreeUnneeded() {
  if (frozen_ != nullptr && backward_began_ && !frozen_->IsHeld()) frozen_->Free();
}

void ShardedUnit::BeforeForward(model::Unit&) {
  recomputes_ = backward_began_ = false;
  owner_->Use(*this, /*backward=*/false);
}

at::Tensor ShardedUnit::AfterForward(model::Unit&, const at::Tensor& output) {
  const bool differentiates = output.requires_grad();
  if (differentiates) ExpectGradients();
  if (!owner_->StaysWhole(*this)) Free();
  return differentiates ? GateBackward(output, this) : output;
}

at::Tensor ShardedUnit::Run(model::Unit& unit, const at::Tensor& input,
                            const model::UnitFunction& function) {
  BeforeForward(unit);
  const bool differentiates = c10::GradMode::is_enabled() && (trains() || input.requires_grad());
  if (!differentiates || !owner_->Recomputes(*this)) return AfterForward(unit, function(input));
  recomputes_ = true;
  const at::Tensor output = RecomputeInBackward(input, function, this);
  ExpectGradients();
  if (!owner_->StaysWhole(*this)) Free();
  return output;
}

void ShardedUnit::ExpectGradients() {
  if (!trains()) return;
  gradients_pending_ = trained_->parameters().size();
  in_backward_ = true;
}

void ShardedUnit::BeforeBackward() {
  backward_began_ = true;
  if (trains() || NeedsFrozen()) owner_->Use(*this, /*backward=*/true);
}

void ShardedUnit::GradientAccumulated() {
  HALCYON_CHECK(gradients_pending_ > 0);
  if (--gradients_pending_ > 0) return;
  in_backward_ = false;
  owner_->GradientsReady(*this);
}

void ShardedUnit::FinishBackward() {
  // A parameter outside the graph has no accumulator call.
  if (!std::exchange(in_backward_, false)) return;
  gradients_pending_ = 0;
  owner_->GradientsReady(*this);
}

void ShardedUnit::TakeGradients(const at::Tensor& flat, bool adds) {
  c10::AutoGradMode no_gradient(false);
  int64_t offset = 0;
  for (const model::Parameter* parameter : trained_->parameters()) {
    const int64_t count = parameter->numel();
    const at::Tensor place = flat.narrow(0, offset, count).view(parameter->shape);
    at::Tensor& gradient = parameter->value.mutable_grad();
    if (gradient.defined()) {
      adds ? place.add_(gradient) : place.copy_(gradient);
      gradient.reset();
    } else if (!adds) {
      place.zero_();
    }
    offset += count;
  }
  if (!adds && offset < flat.numel()) flat.narrow(0, offset, flat.numel() - offset).zero_();
}

void ShardedUnit::KeepGradients() {
  const bool adds = kept_gradients_.defined();
  if (!adds) kept_gradients_ = pool_->TakeTensor(trained_->padded(), at::kFloat);
  TakeGradients(kept_gradients_, adds);
}

void ShardedUnit::StartReduction() {
  HALCYON_CHECK(!reduces_);
  if (plan_.world() == 1 && !kept_gradients_.defined()) {
    TakeGradients(trained().gradient, !std::exchange(gradient_is_fresh_, false));
    return;
  }
  if (kept_gradients_.defined()) {
    KeepGradients();
    reduced_whole_ = std::exchange(kept_gradients_, {});
  } else {
    reduced_whole_ = pool_->TakeTensor(trained_->padded(), trained_->type());
    TakeGradients(reduced_whole_, /*adds=*/false);
  }
  reduces_ = true;
  reduced_slice_ = gradient_is_fresh_ ? slice_gradient_ : at::empty_like(slice_gradient_);
  if (plan_.world() == 1) {
    reduced_slice_.copy_(reduced_whole_);
    return;
  }
  at::Tensor from = reduced_whole_;
  if (plan_.shards > 1) {
    if (plan_.replicas > 1) reduced_shard_ = at::empty_like(trained().gradient);
    const at::Tensor& to = plan_.replicas > 1 ? reduced_shard_ : reduced_slice_;
    reduction_ = collectives_->ReduceScatterSum(plan_.shard_group, BufferOf(from), BufferOf(to),
                                                unit_->name());
    from = to;
  }
  if (plan_.replicas > 1) {
    // Collectives run in order, so the sum over shards is there when this one begins.
    reduction_ = collectives_->ReduceScatterSum(plan_.replica_group, BufferOf(from),
                                                BufferOf(reduced_slice_), unit_->name());
  }
}

absl::Status ShardedUnit::FinishReduction() {
  if (!std::exchange(reduces_, false)) return absl::OkStatus();
  const absl::Status status = std::exchange(reduction_, {}).Wait();
  if (!std::exchange(gradient_is_fresh_, false)) slice_gradient_.add_(reduced_slice_);
  pool_->ReturnTensor(reduced_whole_);
  reduced_whole_ = reduced_shard_ = reduced_slice_ = at::Tensor();
  return status;
}

cluster::Pending ShardedUnit::GatherReplicas() {
  if (plan_.replicas == 1 || !trains()) return {};
  return collectives_->AllGather(plan_.replica_group, BufferOf(slice_gradient_),
                                 BufferOf(trained().gradient), unit_->name());
}

void ShardedUnit::SettleGradient() {
  if (trains() && std::exchange(gradient_is_fresh_, false)) slice_gradient_.zero_();
}

}  // namespace halcyon::worker
