// Taking a state folder over: one owner at a time, after all processes of the earlier one have
// ended.
#ifndef HALCYON_COORDINATOR_RECOVERY_H_
#define HALCYON_COORDINATOR_RECOVERY_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/env.h"
#include "base/ids.h"
#include "base/status.h"
#include "storage/home.h"
#include "storage/journal.h"

namespace halcyon::coordinator {

// How long killed processes of an earlier incarnation may take to be gone.
inline constexpr int64_t kOldWorkersMsMax = 15000;

std::string ProcessesPath(const storage::HomeLayout& home, const std::string& job_id);

// The process that has the home's lock now; nullopt: none. "" and 0 where that is unknown.
struct HomeOwner {
  std::string job;
  int64_t pid = 0;
};
std::optional<HomeOwner> OwnerOf(const storage::HomeLayout& home);

// Takes the home's lock and writes its owner into the file; nullptr while another process has it.
absl::StatusOr<std::unique_ptr<storage::FileLock>> TryOwnHome(const storage::HomeLayout& home,
                                                              const std::string& job_id,
                                                              Clock& clock);

// Waits for the home's lock and writes its owner into the file. While another run has it, `notify`
// is called with that run's name, again every few seconds.
absl::StatusOr<std::unique_ptr<storage::FileLock>> OwnHome(
    const storage::HomeLayout& home, const std::string& job_id, Clock& clock,
    const std::function<void(const std::string&)>& notify);

// Raises the journal's incarnation above its last one and above every number that the state folder
// knows: those in jobs/*/alive and the fences in work/*/checkpoints. A journal that was lost or has
// lost its latest records is behind them; `notify` is called with that.
absl::StatusOr<Incarnation> RaiseIncarnation(Env& env, const storage::HomeLayout& home,
                                             storage::Journal& journal,
                                             const std::function<void(const std::string&)>& notify);

// Ends what an earlier coordinator of the job has started: raises the alive file to `incarnation`,
// kills the processes that it recorded, and waits until no worker holds the alive file.
// kFailedPrecondition names the processes that stay. REQUIRES: the home's lock is held.
absl::Status EndOldWorkers(Env& env, Clock& clock, const storage::HomeLayout& home,
                           const std::string& job_id, Incarnation incarnation);

// EndOldWorkers for `job_id`, for every job that the journal has as running, and for every job in
// the state folder whose workers live; those others are recorded as interrupted.
absl::Status EndOldIncarnation(Env& env, Clock& clock, const storage::HomeLayout& home,
                               storage::Journal& journal, const std::string& job_id,
                               Incarnation incarnation);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RECOVERY_H_
