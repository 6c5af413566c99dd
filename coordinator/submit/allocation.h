// The allocation of Slurm that this process runs in.
#ifndef HALCYON_COORDINATOR_SUBMIT_ALLOCATION_H_
#define HALCYON_COORDINATOR_SUBMIT_ALLOCATION_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "base/mutex.h"

namespace halcyon::coordinator {

// The limit may be changed while a job runs, so Slurm is asked again.
inline constexpr int64_t kAllocationPollMs = 60'000;

// Knows when the allocation ends: by SLURM_JOB_END_TIME, which newer versions set, and by what
// squeue says, which a thread of its own asks for. Outside of Slurm (no SLURM_JOB_ID) it has no
// thread and knows of no end. Thread-safe.
class AllocationWatcher {
 public:
  // `commands`: the folder of Slurm's commands; "": PATH.
  explicit AllocationWatcher(std::string commands);
  ~AllocationWatcher();
  AllocationWatcher(const AllocationWatcher&) = delete;
  AllocationWatcher& operator=(const AllocationWatcher&) = delete;

  // Wall time; 0: not known, or no end.
  int64_t end_ms() const { return end_ms_; }

 private:
  void Watch();

  const std::string commands_;
  std::string slurm_job_id_;
  std::atomic<int64_t> end_ms_ = 0;
  Mutex mutex_;
  ConditionVariable changed_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_SUBMIT_ALLOCATION_H_
