#include "worker/fsdp/gathered_array.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "worker/fsdp/tensor_buffer.h"

namespace halcyon::worker {
namespace {

int64_t ElementsOf(const GatheredArray::Parameters& parameters) {
  int64_t count = 0;
  for (const model::Parameter* parameter : parameters) count += parameter->numel();
  return count;
}

}  // namespace

GatheredArray::GatheredArray(std::string name, Parameters parameters, const ShardPlan& plan,
                             const FsdpOptions& options, cluster::Collectives* collectives,
                             BufferPool* pool)
    : parameters_(std::move(parameters)),
      plan_(plan),
      options_(options),
      collectives_(collectives),
      pool_(pool),
      numel_(ElementsOf(parameters_)),
      padded_(plan.Padded(numel_)) {
  MakeShard(std::move(name));
  whole_ = IsInPlace() ? shard_.value : pool->TakeTensor(padded_, options.gather_type);
  MakeViews();
  Free();
}

GatheredArray::~GatheredArray() {
  // A collective must not write into memory that is gone. Its error has no reader any more.
  gather_.Wait().IgnoreError();
}

bool GatheredArray::IsInPlace() const {
  return plan_.shards == 1 && options_.gather_type == at::kFloat;
}

void GatheredArray::MakeShard(std::string name) {
  const int64_t length = padded_ / plan_.shards;
  shard_.unit = std::move(name);
  shard_.first = length * plan_.shard;
  shard_.slice_length = padded_ / plan_.world();
  shard_.slice_first = shard_.slice_length * plan_.slice();
  const at::TensorOptions floats = at::TensorOptions(at::kFloat).device(options_.device);
  shard_.value = at::zeros({length}, floats);
  if (!parameters_.front()->requires_grad) return;
  for (at::Tensor* array : {&shard_.gradient, &shard_.exp_avg, &shard_.exp_avg_sq}) {
    *array = at::zeros({length}, floats);
  }
  FillDecays();
}

void GatheredArray::MakeViews() {
  int64_t offset = 0;
  for (model::Parameter* parameter : parameters_) {
    parameter->value = whole_.narrow(0, offset, parameter->numel()).view(parameter->shape).detach();
    parameter->value.set_requires_grad(parameter->requires_grad);
    offset += parameter->numel();
  }
}

void GatheredArray::FillDecays() {
  const int64_t length = shard_.value.numel();
  at::Tensor decays = at::zeros({length}, at::kByte);
  int64_t offset = 0;
  for (const model::Parameter* parameter : parameters_) {
    const int64_t begin = std::max(offset, shard_.first);
    const int64_t end = std::min(offset + parameter->numel(), shard_.first + length);
    if (parameter->decays && begin < end)
      decays.narrow(0, begin - shard_.first, end - begin).fill_(1);
    offset += parameter->numel();
  }
  shard_.decays = decays.to(options_.device);
}

storage::UnitLayout GatheredArray::Layout() const {
  storage::UnitLayout layout{shard_.unit, static_cast<uint64_t>(numel_), {}};
  uint64_t offset = 0;
  for (const model::Parameter* parameter : parameters_) {
    layout.parameters.push_back({parameter->name, parameter->shape, offset});
    offset += parameter->numel();
  }
  return layout;
}

void GatheredArray::StartGather() {
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
  sent_ = type() == at::kFloat ? shard_.value : shard_.value.to(type());
  gather_ = collectives_->AllGather(plan_.shard_group, BufferOf(sent_), BufferOf(whole_), name());
}

absl::Status GatheredArray::FinishGather() {
  StartGather();
  if (state_ == State::kWhole) return absl::OkStatus();
  state_ = State::kWhole;
  const absl::Status status = std::exchange(gather_, {}).Wait();
  sent_ = at::Tensor();
  return status;
}

void GatheredArray::Free() {
  if (IsInPlace() || state_ == State::kFreed) return;
  FinishGather().IgnoreError();  // sticks to the collectives
  c10::StorageImpl* storage = whole_.storage().unsafeGetStorageImpl();
  pool_->Return(storage->set_data_ptr(c10::DataPtr(nullptr, options_.device)), storage->nbytes());
  storage->set_nbytes(0);
  state_ = State::kFreed;
}

absl::StatusOr<at::Tensor> GatheredArray::GatherValues() {
  if (plan_.shards == 1) return shard_.value;
  at::Tensor values = pool_->TakeTensor(padded_, at::kFloat);
  RETURN_IF_ERROR(
      collectives_->AllGather(plan_.shard_group, BufferOf(shard_.value), BufferOf(values), name())
          .Wait());
  return values;
}

void GatheredArray::ReturnValues(const at::Tensor& values) {
  if (plan_.shards > 1) pool_->ReturnTensor(values);
}

bool GatheredArray::IsHeld() const {
  // A saved leaf is the parameter's tensor itself, a saved view of it shares its storage.
  const auto is_saved = [](const model::Parameter* parameter) {
    return parameter->value.use_count() > 1;
  };
  // whole_ and the parameters refer to it at any time.
  return whole_.storage().use_count() > parameters_.size() + 1 ||
         std::ranges::any_of(parameters_, is_saved);
}

}  // namespace halcyon::worker
