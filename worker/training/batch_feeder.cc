#include "worker/training/batch_feeder.h"
#include "worker/torch_fault.h"

#include <ATen/ATen.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/ParallelGuard.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace halcyon::worker {
namespace {

at::Tensor WeightsOf(const MicroBatch& batch) {
  const at::Tensor weights = at::empty({std::ssize(batch.weights)}, at::kFloat);
  std::ranges::copy(batch.weights, weights.mutable_data_ptr<float>());
  return weights;
}

// A tensor's bytes, cut into equal parts, one a sample.
class BytesOfSamples {
 public:
  BytesOfSamples(const at::Tensor& tensor, size_t samples)
      : tensor_(tensor.contiguous()), part_(tensor_.nbytes() / samples) {}
  std::string_view Of(size_t sample) const {
    return {static_cast<const char*>(tensor_.const_data_ptr()) + sample * part_, part_};
  }

 private:
  const at::Tensor tensor_;
  const size_t part_;
};

// Of the plan's samples, with what was loaded for them.
pipeline::SampleDigest UsedBy(const MicroBatch& plan, const BatchTensors& tensors) {
  pipeline::SampleDigest digest;
  const size_t samples = plan.slots.size();
  if (samples == 0) return digest;
  const BytesOfSamples ids(tensors.tokens, samples);
  std::optional<BytesOfSamples> means, log_stds;
  if (tensors.posterior.mean.defined()) {
    means.emplace(tensors.posterior.mean, samples);
    log_stds.emplace(tensors.posterior.log_std, samples);
  }
  for (size_t i = 0; i < samples; ++i) {
    if (plan.weights[i] == 0) continue;
    digest.Add(plan.step, plan.slots[i], plan.items[i]);
    digest.AddText(plan.step, plan.slots[i], ids.Of(i));
    if (means) digest.AddLatents(plan.step, plan.slots[i], means->Of(i), log_stds->Of(i));
  }
  return digest;
}

std::vector<at::Tensor*> DefinedOf(BatchTensors* tensors) {
  std::vector<at::Tensor*> all = {&tensors->tokens, &tensors->posterior.mean,
                                  &tensors->posterior.log_std, &tensors->weights,
                                  &tensors->first_visible};
  std::erase_if(all, [](const at::Tensor* tensor) { return !tensor->defined(); });
  return all;
}

}  // namespace

BatchFeeder::BatchFeeder(uint64_t first, uint64_t last, PlanStep plan_step, Load load,
                         c10::Device device)
    : first_(first),
      last_(last),
      plan_step_(std::move(plan_step)),
      load_(std::move(load)),
      device_(device) {
  thread_.emplace([this] { Run(); });
}

BatchFeeder::~BatchFeeder() {
  const MutexLock lock(&mutex_);
  closing_ = true;
  changed_.NotifyAll();
}

void BatchFeeder::Run() {
  // ATen would otherwise start a pool of threads for this one.
  const c10::ParallelGuard serial(true);
  try {
    if (device_.is_cpu()) return LoadAll();
    const c10::impl::VirtualGuardImpl guard(device_.type());
    const c10::StreamGuard stream(guard.getStreamFromGlobalPool(device_));
    LoadAll();
  } catch (const std::exception& error) {  // of LibTorch
    Add(TorchFault("loading a batch", error));
  }
}

void BatchFeeder::LoadAll() {
  for (uint64_t step = first_; step < last_; ++step) {
    std::vector<MicroBatch> passes = plan_step_(step);
    for (MicroBatch& plan : passes) {
      absl::StatusOr<BatchTensors> tensors = load_(plan);
      if (!tensors.ok()) {
        Add(tensors.status());
        return;
      }
      tensors->weights = WeightsOf(plan);
      const pipeline::SampleDigest used = UsedBy(plan, *tensors);
      const bool is_last = &plan == &passes.back();
      if (!Add(LoadedPass{std::move(plan), *std::move(tensors), used, is_last})) return;
    }
  }
}

std::optional<c10::Event> BatchFeeder::CopyToDevice(BatchTensors* tensors) {
  if (device_.is_cpu()) return std::nullopt;
  for (at::Tensor* tensor : DefinedOf(tensors)) {
    // The allocator of pinned memory keeps it until the copy is done.
    *tensor = tensor->pin_memory().to(device_, tensor->scalar_type(), /*non_blocking=*/true);
  }
  c10::Event copied(device_.type());
  copied.record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  return copied;
}

bool BatchFeeder::Add(absl::StatusOr<LoadedPass> pass) {
  std::optional<c10::Event> copied;
  if (pass.ok()) copied = CopyToDevice(&pass->tensors);
  const MutexLock lock(&mutex_);
  changed_.Wait(&mutex_, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return closing_ || loaded_.size() < kLoadedMax;
  });
  if (closing_) return false;
  loaded_.push_back({std::move(pass), std::move(copied)});
  changed_.NotifyAll();
  return true;
}

absl::StatusOr<LoadedPass> BatchFeeder::Next() {
  const int64_t began_us = clock_->MonotonicUs();
  std::optional<Loaded> next;
  {
    const MutexLock lock(&mutex_);
    changed_.Wait(&mutex_,
                  [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !loaded_.empty(); });
    next = std::move(loaded_.front());
    loaded_.pop_front();
    changed_.NotifyAll();
  }
  waited_us_ += clock_->MonotonicUs() - began_us;
  if (next->copied) {
    const c10::Stream stream = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
    next->copied->block(stream);
    // Their memory is of the feeder's stream: it must not be given out there before this stream
    // has done with it.
    for (const at::Tensor* tensor : DefinedOf(&next->pass->tensors)) tensor->record_stream(stream);
  }
  return std::move(next->pass);
}

}  // namespace halcyon::worker
