// Where a job is that a status file does not tell of: in a queue, or in the hands of Slurm.
#ifndef HALCYON_COORDINATOR_SUBMIT_WHEREABOUTS_H_
#define HALCYON_COORDINATOR_SUBMIT_WHEREABOUTS_H_

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/env.h"
#include "base/status.h"
#include "coordinator/job_status.h"
#include "coordinator/submit/slurm.h"
#include "coordinator/submit/submission.h"
#include "storage/home.h"

namespace halcyon::coordinator {

struct Whereabouts {
  bool is_live = false;          // a coordinator runs it
  std::string coordinator_host;  // of that coordinator
  bool is_outstanding = false;   // a queue or Slurm has it, and will start it or has just done so
  // After "job X": "is Slurm job 12: PENDING (Priority)", "runs as process 5 on n1", "waits in the
  // queue of this home, 2 before it". "": nobody has it.
  std::string text;
  std::optional<Submission> submission;
  std::optional<SlurmJob> slurm;  // as squeue shows it
  std::string slurm_error;        // why Slurm could not be asked; "": it was, or had not to be
};

// Answers for many jobs with one look at the queue and one call of squeue, which is made when a job
// is asked for that Slurm may have. Not thread-safe.
class WhereaboutsReader {
 public:
  // `clock`: waits until it is known whether a coordinator on another machine lives, 20 s at most;
  // nullptr: one look, so that one counts that may be dead.
  WhereaboutsReader(Env& env, const storage::HomeLayout& home, Clock* clock = nullptr)
      : env_(env), home_(home), clock_(clock) {}

  Whereabouts Of(const std::string& job_id);
  // The same, for a job whose state is known: of one that has ended nobody is asked.
  Whereabouts Of(const JobStatus& job);

 private:
  Whereabouts Look(const std::string& job_id, const JobStatus* known);
  void AddSlurm(Whereabouts* place);
  const absl::StatusOr<std::map<std::string, SlurmJob>>& SlurmJobs();

  Env& env_;
  const storage::HomeLayout home_;
  Clock* const clock_;
  std::optional<absl::StatusOr<std::map<std::string, SlurmJob>>> slurm_jobs_;
};

// Sets the state of a job that its last run did not record: queued when it waits to be started,
// cancelled when Slurm ended its job at somebody's wish before it began or could save, failed when
// it left Slurm's queue otherwise before it began.
void ShowPlace(const Whereabouts& place, JobStatus* job);
// {"launcher", "slurm_job_id", "slurm_state", "slurm_reason", "where"}; null without a submission.
nlohmann::json ToJson(const Whereabouts& place);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_SUBMIT_WHEREABOUTS_H_
