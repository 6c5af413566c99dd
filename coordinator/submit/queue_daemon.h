// `halcyon coordinator`: starts the jobs of the local queue (coordinator/submit/local_queue.h) as
// processes of their own, in the order of submission, when there is room for them. It runs no job
// itself: when it dies, the jobs go on, and its successor finds them in the queue's files.
#ifndef HALCYON_COORDINATOR_SUBMIT_QUEUE_DAEMON_H_
#define HALCYON_COORDINATOR_SUBMIT_QUEUE_DAEMON_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "cluster/process.h"
#include "coordinator/submit/local_queue.h"
#include "coordinator/submit/submission.h"
#include "jobs/job_spec.h"
#include "storage/home.h"

namespace halcyon::coordinator {

// What this machine has for jobs.
struct QueueMachine {
  std::string host;
  int64_t slots = 1;
  std::vector<int64_t> gpus;  // numbers, as CUDA_VISIBLE_DEVICES takes them
};

// `slots`: 0: one a processor. The GPUs are those of /dev/nvidia*.
QueueMachine ThisMachine(int64_t slots);

// Ranks times threads, and a GPU a rank unless the job is to use the CPU.
JobNeeds NeedsOf(const jobs::LaunchSpec& launch);

// The GPUs for a job, when there is room beside the taken ones; nullopt: it has to wait. A job that
// needs more than there is at all gets everything.
std::optional<std::vector<int64_t>> RoomFor(const JobNeeds& needs, const QueueMachine& machine,
                                            const std::vector<TakenJob>& taken);

// Starts the process of a job.
using StartJob =
    std::function<absl::StatusOr<cluster::ProcessIdentity>(const Submission&, const TakenJob&)>;
// The real one: `halcyon run`, detached, its output in the job's logs.
StartJob StartJobProcess(const storage::HomeLayout& home);

// How often a job whose coordinator was killed is started again.
inline constexpr int64_t kQueueRestartsMax = 3;

// REQUIRES: the lease of the host's queue is held. Not thread-safe.
class QueueDaemon {
 public:
  // `notify` gets a line for a person about each job that starts or ends.
  QueueDaemon(Env* env, const storage::HomeLayout& home, QueueMachine machine, StartJob start,
              std::function<void(const std::string&)> notify);

  // Looks at the jobs that it has, and starts those that there is room for.
  absl::Status Turn();
  // After the last Turn: nothing waits, and nothing that it has runs.
  bool idle() const { return idle_; }

 private:
  // Whether the job still has a process; one that has none is started again or removed.
  absl::StatusOr<bool> Keep(TakenJob* job);
  absl::Status Start(TakenJob job);
  // Removes it, and records a failure when the job did not do so itself.
  absl::Status End(const TakenJob& job, const std::string& why);

  Env* const env_;
  const storage::HomeLayout home_;
  const QueueMachine machine_;
  const StartJob start_;
  const std::function<void(const std::string&)> notify_;
  LocalQueue queue_;
  bool idle_ = false;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_SUBMIT_QUEUE_DAEMON_H_
