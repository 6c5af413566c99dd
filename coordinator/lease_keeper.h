// Shows that the holder of leases lives: renews every one of them on a thread of its own, so that
// no other work delays it, and notices when another process has taken one over.
#ifndef HALCYON_COORDINATOR_LEASE_KEEPER_H_
#define HALCYON_COORDINATOR_LEASE_KEEPER_H_

#include <memory>
#include <optional>
#include <set>
#include <thread>

#include "base/mutex.h"
#include "base/status.h"
#include "storage/lease.h"

namespace halcyon::coordinator {

// Thread-safe.
class LeaseKeeper {
 public:
  LeaseKeeper() = default;
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  // Without a thread nothing is renewed: enough for a test that stays within the lease time.
  void StartThread();
  // Renews it from now on.
  void Keep(std::shared_ptr<storage::Lease> lease);
  void Drop(const std::shared_ptr<storage::Lease>& lease);
  // kAborted once any of them was found to be another process's; names it.
  absl::Status lost();

 private:
  void Run();
  void RenewAll();

  Mutex mutex_;
  ConditionVariable changed_;
  std::set<std::shared_ptr<storage::Lease>> leases_ ABSL_GUARDED_BY(mutex_);
  absl::Status lost_ ABSL_GUARDED_BY(mutex_);
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<std::jthread> thread_;  // last: it uses the others
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_LEASE_KEEPER_H_
