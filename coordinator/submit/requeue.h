// A job that was stopped in its allocation, before its end, goes on in another one.
#ifndef HALCYON_COORDINATOR_SUBMIT_REQUEUE_H_
#define HALCYON_COORDINATOR_SUBMIT_REQUEUE_H_

#include <cstdint>
#include <string>

#include "base/env.h"
#include "base/status.h"
#include "coordinator/job_status.h"
#include "coordinator/submit/slurm.h"
#include "storage/home.h"

namespace halcyon::coordinator {

// How often in a row a job may be requeued without having come further.
inline constexpr int64_t kRequeuesWithoutProgressMax = 3;

// How far a job is, as a number that grows with each task and step that is done.
double ProgressOf(const JobStatus& job);

// What is to become of a Slurm job whose script ends because the job was stopped.
enum class NextAllocation {
  kRequeue,    // it is to be requeued
  kSlurmDoes,  // Slurm requeues it by itself
  kCancelled,  // somebody has cancelled it
};
// `restarts`: of the allocation that ends (SLURM_RESTART_COUNT). While a script ends at the hand of
// Slurm, squeue shows its job as COMPLETING: then the count of restarts says whether Slurm requeues
// it, and the reason whether it was the time limit; else it was scancel.
NextAllocation NextOf(const SlurmJob& job, int64_t restarts);

// Called in the allocation of the Slurm job `slurm_job_id`, when the job ended as preempted.
// Requeues the Slurm job, or where Slurm refuses that, submits the script again, to begin when this
// one has ended. What was done, for a log. kFailedPrecondition: it is not to go on, because
// somebody has cancelled the Slurm job (the job's state is then that), or it does not come further;
// kUnavailable: Slurm does not answer.
absl::StatusOr<std::string> Requeue(Env& env, const storage::HomeLayout& home,
                                    const std::string& job_id, const std::string& slurm_job_id,
                                    int64_t restarts);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_SUBMIT_REQUEUE_H_
