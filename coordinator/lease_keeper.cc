#include "coordinator/lease_keeper.h"

#include <spdlog/spdlog.h>

#include <vector>

namespace halcyon::coordinator {

LeaseKeeper::~LeaseKeeper() {
  {
    const MutexLock lock(&mutex_);
    closing_ = true;
    changed_.NotifyAll();
  }
  thread_.reset();  // joins
}

void LeaseKeeper::StartThread() {
  thread_.emplace([this] { Run(); });
}

void LeaseKeeper::Keep(std::shared_ptr<storage::Lease> lease) {
  const MutexLock lock(&mutex_);
  leases_.insert(std::move(lease));
}

void LeaseKeeper::Drop(const std::shared_ptr<storage::Lease>& lease) {
  const MutexLock lock(&mutex_);
  leases_.erase(lease);
}

absl::Status LeaseKeeper::lost() {
  const MutexLock lock(&mutex_);
  return lost_;
}

void LeaseKeeper::Run() {
  while (true) {
    {
      const MutexLock lock(&mutex_);
      changed_.WaitFor(&mutex_, storage::kLeaseBeatMs,
                       [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return closing_; });
      if (closing_) return;
    }
    RenewAll();
  }
}

void LeaseKeeper::RenewAll() {
  std::vector<std::shared_ptr<storage::Lease>> leases;
  {
    const MutexLock lock(&mutex_);
    leases.assign(leases_.begin(), leases_.end());
  }
  for (const auto& lease : leases) {
    const absl::Status renewed = lease->Renew();
    if (renewed.ok()) continue;
    if (!absl::IsAborted(renewed)) {
      spdlog::warn("a lease is not renewed: {}", MessageOf(renewed));
      continue;
    }
    const MutexLock lock(&mutex_);
    // One that was dropped meanwhile is no loss.
    if (leases_.contains(lease) && lost_.ok()) lost_ = renewed;
  }
}

}  // namespace halcyon::coordinator
