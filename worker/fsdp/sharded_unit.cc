#include "worker/fsdp/sharded_unit.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
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
      owner_(owner),
      numel_(unit->numel()),
      padded_(plan.Padded(numel_)) {
  const int64_t length = padded_ / plan.shards;
  shard_.unit = unit->name();
  shard_.first = length * plan.shard;
  shard_.slice_length = padded_ / plan.world();
  shard_.slice_first = shard_.slice_length * plan.slice();
  const at::TensorOptions floats = at::TensorOptions(at::kFloat).device(options.device);
  for (at::Tensor* array : {&shard_.value, &shard_.gradient, &shard_.exp_avg, &shard_.exp_avg_sq}) {
    *array = at::zeros({length}, floats);
  }
  slice_gradient_ = plan.replicas == 1 ? shard_.gradient : at::zeros({shard_.slice_length}, floats);
  FillDecays();
  if (IsInPlace()) {
    whole_ = shard_.value;
    state_ = State::kWhole;
    MakeViews();
  } else {
    whole_ = pool->TakeTensor(padded_, options.gather_type);
    state_ = State::kWhole;
    MakeViews();
    Free();
  }
  unit->set_hooks(this);
}

ShardedUnit::~ShardedUnit() {
  unit_->set_hooks(nullptr);
  // Collectives must not write into memory that is gone. Their errors have no reader any more.
  gather_.Wait().IgnoreError();
  reduction_.Wait().IgnoreError();
}

bool ShardedUnit::IsInPlace() const {
  return plan_.shards == 1 && options_.gather_type == at::kFloat;
}

void ShardedUnit::MakeViews() {
  int64_t offset = 0;
  for (model::Parameter& parameter : unit_->parameters()) {
    parameter.value = whole_.narrow(0, offset, parameter.numel()).view(parameter.shape).detach();
    parameter.value.set_requires_grad(true);
    accumulators_.push_back(ListenToGradient(parameter.value, this));
    offset += parameter.numel();
  }
}

void ShardedUnit::FillDecays() {
  const int64_t length = shard_.value.numel();
  at::Tensor decays = at::zeros({length}, at::kByte);
  int64_t offset = 0;
  for (const model::Parameter& parameter : unit_->parameters()) {
    const int64_t begin = std::max(offset, shard_.first);
    const int64_t end = std::min(offset + parameter.numel(), shard_.first + length);
    if (parameter.decays && begin < end)
      decays.narrow(0, begin - shard_.first, end - begin).fill_(1);
    offset += parameter.numel();
  }
  shard_.decays = decays.to(options_.device);
}

storage::UnitLayout ShardedUnit::Layout() const {
  storage::UnitLayout layout{unit_->name(), static_cast<uint64_t>(numel_), {}};
  uint64_t offset = 0;
  for (const model::Parameter& parameter : unit_->parameters()) {
    layout.parameters.push_back({parameter.name, parameter.shape, offset});
    offset += parameter.numel();
  }
  return layout;
}

void ShardedUnit::StartGather() {
  if (state_ != State::kFreed) return;
  c10::StorageImpl* storage = whole_.storage().unsafeGetStorageImpl();
  const size_t bytes = padded_ * whole_.element_size();
  storage->set_data_ptr_noswap(pool_->Take(bytes));
  storage->set_nbytes(bytes);
  state_ = State::kGathering;
  // Written behind autograd's back: it must not see a new version of its saved tensors.
  if (plan_.shards == 1) {
    const at::AutoDispatchBelowADInplaceOrView unseen;
    whole_.copy_(shard_.value);
    return;
  }
  sent_ = whole_.scalar_type() == at::kFloat ? shard_.value : shard_.value.to(whole_.scalar_type());
  gather_ =
      collectives_->AllGather(plan_.shard_group, BufferOf(sent_), BufferOf(whole_), unit_->name());
}

absl::Status ShardedUnit::FinishGather() {
  StartGather();
  if (state_ == State::kWhole) return absl::OkStatus();
  state_ = State::kWhole;
  const absl::Status status = std::exchange(gather_, {}).Wait();
  sent_ = at::Tensor();
  return status;
}

void ShardedUnit::Free() {
  if (IsInPlace() || state_ == State::kFreed) return;
  FinishGather().IgnoreError();  // sticks to the collectives
  c10::StorageImpl* storage = whole_.storage().unsafeGetStorageImpl();
  pool_->Return(storage->set_data_ptr(c10::DataPtr(nullptr, options_.device)), storage->nbytes());
  storage->set_nbytes(0);
  state_ = State::kFreed;
}

absl::StatusOr<at::Tensor> ShardedUnit::GatherValues() {
  if (plan_.shards == 1) return shard_.value;
  at::Tensor values = pool_->TakeTensor(padded_, at::kFloat);
  RETURN_IF_ERROR(
      collectives_
          ->AllGather(plan_.shard_group, BufferOf(shard_.value), BufferOf(values), unit_->name())
          .Wait());
  return values;
}

void ShardedUnit::ReturnValues(const at::Tensor& values) {
  if (plan_.shards > 1) pool_->ReturnTensor(values);
}

void ShardedUnit::BeforeForward(model::Unit&) { owner_->Use(*this, /*backward=*/false); }

at::Tensor ShardedUnit::AfterForward(model::Unit&, const at::Tensor& output) {
  const bool differentiates = output.requires_grad();
  if (differentiates) ExpectGradients();
  if (!owner_->StaysWhole(*this)) Free();
  return differentiates ? GateBackward(output, this) : output;
}

at::Tensor ShardedUnit::Run(model::Unit& unit, const at::Tensor& input,
                            const model::UnitFunction& function) {
  BeforeForward(unit);
  if (!c10::GradMode::is_enabled() || !owner_->Recomputes(*this)) {
    return AfterForward(unit, function(input));
  }
  const at::Tensor output = RecomputeInBackward(input, function, this);
  ExpectGradients();
  if (!owner_->StaysWhole(*this)) Free();
  return output;
}

void ShardedUnit::ExpectGradients() {
  gradients_pending_ = unit_->parameters().size();
  in_backward_ = true;
}

void ShardedUnit::BeforeBackward() { owner_->Use(*this, /*backward=*/true); }

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
  for (model::Parameter& parameter : unit_->parameters()) {
    const int64_t count = parameter.numel();
    const at::Tensor place = flat.narrow(0, offset, count).view(parameter.shape);
    at::Tensor& gradient = parameter.value.mutable_grad();
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
  if (!adds) kept_gradients_ = pool_->TakeTensor(padded_, at::kFloat);
  TakeGradients(kept_gradients_, adds);
}

void ShardedUnit::StartReduction() {
  HALCYON_CHECK(!reduces_);
  if (plan_.world() == 1 && !kept_gradients_.defined()) {
    TakeGradients(shard_.gradient, !std::exchange(gradient_is_fresh_, false));
    return;
  }
  if (kept_gradients_.defined()) {
    KeepGradients();
    reduced_whole_ = std::exchange(kept_gradients_, {});
  } else {
    reduced_whole_ = pool_->TakeTensor(padded_, whole_.scalar_type());
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
    if (plan_.replicas > 1) reduced_shard_ = at::empty_like(shard_.gradient);
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
  if (plan_.replicas == 1) return {};
  return collectives_->AllGather(plan_.replica_group, BufferOf(slice_gradient_),
                                 BufferOf(shard_.gradient), unit_->name());
}

void ShardedUnit::SettleGradient() {
  if (std::exchange(gradient_is_fresh_, false)) slice_gradient_.zero_();
}

}  // namespace halcyon::worker
