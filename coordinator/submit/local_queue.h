// The queue of jobs that `halcyon coordinator` starts, as files: whatever dies, they say what was
// asked for and who has it.
//
//   HOME/queue/waiting/TIME-JOB.json   a job that waits; the names are in the order of submission
//   HOME/queue/taken/HOST/JOB.json     a job that HOST's daemon has taken, with its process
//   HOME/queue/daemon/HOST/            the lease of HOST's daemon (storage/lease.h)
//
// A job is taken by rename(2), which one daemon wins; only then it is started. A daemon that dies
// leaves its jobs running, and the next one of that host finds them under taken/.
#ifndef HALCYON_COORDINATOR_SUBMIT_LOCAL_QUEUE_H_
#define HALCYON_COORDINATOR_SUBMIT_LOCAL_QUEUE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "storage/home.h"

namespace halcyon::coordinator {

// What a job needs of a machine.
struct JobNeeds {
  int64_t slots = 1;
  int64_t gpus = 0;
  bool may_do_without_gpus = false;  // where the machine has fewer
  bool operator==(const JobNeeds&) const = default;
};

// A job under taken/.
struct TakenJob {
  std::string job_id;
  JobNeeds needs;
  std::vector<int64_t> gpus;  // the numbers of those that it was given
  int64_t starts = 0;         // how often it was started
  // Its process; 0: none was recorded.
  int64_t pid = 0;
  uint64_t start_time = 0;
  std::string boot_id;
  bool operator==(const TakenJob&) const = default;
};

// kFailedPrecondition when a group shares the folder: its queue would run a member's job as the
// user who serves it.
absl::Status CheckHasQueue(const storage::HomeLayout& home);

struct WaitingJob {
  std::string job_id;
  JobNeeds needs;
  std::string file;  // its name in waiting/
};

// Not thread-safe; any number of processes may have one over a home.
class LocalQueue {
 public:
  LocalQueue(Env& env, const storage::HomeLayout& home);

  absl::Status Add(const std::string& job_id, const JobNeeds& needs, int64_t submitted_ms);
  // In the order of submission. An entry that cannot be read is left out.
  std::vector<WaitingJob> Waiting();
  // Whether it was waiting and is now out of the queue.
  bool Withdraw(const std::string& job_id);
  // Moves it to those that `host` has; false: somebody else has taken or withdrawn it.
  absl::StatusOr<bool> Take(const WaitingJob& job, const std::string& host);
  std::vector<TakenJob> TakenBy(const std::string& host);
  absl::Status WriteTaken(const std::string& host, const TakenJob& job);
  absl::Status RemoveTaken(const std::string& host, const std::string& job_id);

  // After "job X": where it is in the queue; nullopt: it is not.
  std::optional<std::string> Find(const std::string& job_id);
  std::string LeaseFolder(const std::string& host) const;

 private:
  std::string TakenFolder(const std::string& host) const;

  Env& env_;
  const std::string folder_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_SUBMIT_LOCAL_QUEUE_H_
