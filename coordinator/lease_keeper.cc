#include "coordinator/lease_keeper.h"

#include <spdlog/spdlog.h>

#include <utility>
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

void LeaseKeeper::Keep(std::shared_ptr<storage::Lease> lease, LeaseOf what) {
  const MutexLock lock(&mutex_);
  leases_.emplace(std::move(lease), what);
}

void LeaseKeeper::Drop(const std::shared_ptr<storage::Lease>& lease) {
  const MutexLock lock(&mutex_);
  leases_.erase(lease);
}

std::vector<LostLease> LeaseKeeper::TakeLost() {
  const MutexLock lock(&mutex_);
  return std::exchange(lost_, {});
}

bool LeaseKeeper::has_lost_job() {
  const MutexLock lock(&mutex_);
  return has_lost_job_;
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
  std::map<std::shared_ptr<storage::Lease>, LeaseOf> leases;
  {
    const MutexLock lock(&mutex_);
    leases = leases_;
  }
  std::vector<std::pair<std::shared_ptr<storage::Lease>, absl::Status>> lost;
  for (const auto& [lease, what] : leases) {
    absl::Status renewed = lease->Renew();
    if (renewed.ok()) continue;
    if (absl::IsAborted(renewed)) {
      lost.emplace_back(lease, std::move(renewed));
    } else {
      spdlog::warn("a lease is not renewed: {}", MessageOf(renewed));
    }
  }
  if (lost.empty()) return;
  std::vector<std::pair<std::shared_ptr<storage::Lease>, absl::Status>> lost_job;
  for (const auto& [lease, what] : leases) {
    if (what != LeaseOf::kJob) continue;
    absl::Status checked = lease->Check();
    if (absl::IsAborted(checked)) lost_job.emplace_back(lease, std::move(checked));
  }
  const MutexLock lock(&mutex_);
  for (const auto& [lease, status] : lost_job) NoteLost(lease, status);
  for (const auto& [lease, status] : lost) NoteLost(lease, status);
}

// Once. One that was dropped meanwhile is no loss.
void LeaseKeeper::NoteLost(const std::shared_ptr<storage::Lease>& lease,
                           const absl::Status& status) {
  const auto kept = leases_.find(lease);
  if (kept == leases_.end()) return;
  has_lost_job_ = has_lost_job_ || kept->second == LeaseOf::kJob;
  lost_.push_back({kept->second, status});
  leases_.erase(kept);
}

}  // namespace halcyon::coordinator
