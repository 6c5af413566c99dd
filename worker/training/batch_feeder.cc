#include "worker/training/batch_feeder.h"

#include <c10/util/ParallelGuard.h>

#include <utility>

namespace halcyon::worker {

BatchFeeder::BatchFeeder(uint64_t first, uint64_t last, PlanStep plan_step, Load load)
    : first_(first), last_(last), plan_step_(std::move(plan_step)), load_(std::move(load)) {
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
  for (uint64_t step = first_; step < last_; ++step) {
    std::vector<MicroBatch> passes = plan_step_(step);
    for (MicroBatch& plan : passes) {
      absl::StatusOr<BatchTensors> tensors = load_(plan);
      if (!tensors.ok()) {
        Add(tensors.status());
        return;
      }
      if (!Add(LoadedPass{std::move(plan), *std::move(tensors), &plan == &passes.back()})) return;
    }
  }
}

bool BatchFeeder::Add(absl::StatusOr<LoadedPass> pass) {
  const MutexLock lock(&mutex_);
  changed_.Wait(&mutex_, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return closing_ || loaded_.size() < kLoadedMax;
  });
  if (closing_) return false;
  loaded_.push_back(std::move(pass));
  changed_.NotifyAll();
  return true;
}

absl::StatusOr<LoadedPass> BatchFeeder::Next() {
  const int64_t began_us = clock_->MonotonicUs();
  const MutexLock lock(&mutex_);
  changed_.Wait(&mutex_,
                [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !loaded_.empty(); });
  waited_us_ += clock_->MonotonicUs() - began_us;
  absl::StatusOr<LoadedPass> next = std::move(loaded_.front());
  loaded_.pop_front();
  changed_.NotifyAll();
  return next;
}

}  // namespace halcyon::worker
