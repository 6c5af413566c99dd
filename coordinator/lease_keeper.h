// Shows that the holder of leases lives: renews every one of them on a thread of its own, so that
// no other work delays it, and notices when another process has taken one over.
#ifndef HALCYON_COORDINATOR_LEASE_KEEPER_H_
#define HALCYON_COORDINATOR_LEASE_KEEPER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "storage/lease.h"

namespace halcyon::coordinator {

// What a lease of a coordinator is for.
enum class LeaseOf : uint8_t { kJob, kStage };

struct LostLease {
  LeaseOf what{};
  absl::Status status;  // kAborted, names the process that has it
};

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
  void Keep(std::shared_ptr<storage::Lease> lease, LeaseOf what);
  void Drop(const std::shared_ptr<storage::Lease>& lease);
  // What the thread does every storage::kLeaseBeatMs.
  void RenewAll();
  // Those that were found to be another process's since the last call. A coordinator that takes the
  // job takes its stages later: when both are lost, the job's comes first.
  std::vector<LostLease> TakeLost();
  bool has_lost_job();

 private:
  void Run();
  void NoteLost(const std::shared_ptr<storage::Lease>& lease, const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  ConditionVariable changed_;
  std::map<std::shared_ptr<storage::Lease>, LeaseOf> leases_ ABSL_GUARDED_BY(mutex_);
  std::vector<LostLease> lost_ ABSL_GUARDED_BY(mutex_);
  bool has_lost_job_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<std::jthread> thread_;  // last: it uses the others
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_LEASE_KEEPER_H_
