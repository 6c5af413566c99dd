#include "coordinator/submit/requeue.h"

#include <fmt/format.h>

#include "base/exit_code.h"
#include "coordinator/submit/submission.h"
#include "jobs/cluster_file.h"

namespace halcyon::coordinator {
namespace {

// Counts this requeue; kFailedPrecondition when the job does not come further.
absl::Status CountRequeue(Env& env, const storage::HomeLayout& home, Submission* submission) {
  double progress = 0;
  if (const auto status = ReadJobStatus(env, home, submission->job_id); status.ok()) {
    progress = ProgressOf(*status);
  }
  ++submission->requeues;
  if (progress > submission->progress) {
    submission->requeues_without_progress = 0;
    submission->progress = progress;
  } else {
    ++submission->requeues_without_progress;
  }
  RETURN_IF_ERROR(WriteSubmission(env, home, *submission));
  if (submission->requeues_without_progress <= kRequeuesWithoutProgressMax) return absl::OkStatus();
  return FailedPrecondition(fmt::format(
      "job {} was stopped {} times without having come further: it is not requeued. Give it a "
      "longer launch.slurm.time, or a smaller checkpoint.every",
      submission->job_id, submission->requeues_without_progress));
}

// The Slurm job was cancelled, and with it the job.
absl::Status RecordSlurmsCancel(Env& env, const storage::HomeLayout& home,
                                const std::string& job_id) {
  ASSIGN_OR_RETURN(JobStatus status, ReadJobStatus(env, home, job_id));
  status.state = jobs::JobState::kCancelled;
  status.exit_code = static_cast<int>(ExitCode::kCancelled);
  return WriteJobStatus(env, home, status);
}

}  // namespace

double ProgressOf(const JobStatus& job) {
  double progress = 0;
  for (const StageStatus& stage : job.stages) progress += stage.fraction;
  return progress;
}

NextAllocation NextOf(const SlurmJob& job, int64_t restarts) {
  if (job.restarts > restarts) return NextAllocation::kSlurmDoes;
  if (job.WasCancelled()) return NextAllocation::kCancelled;
  if (job.state == "COMPLETING" && job.reason != "TimeLimit") return NextAllocation::kCancelled;
  return NextAllocation::kRequeue;
}

absl::StatusOr<std::string> Requeue(Env& env, const storage::HomeLayout& home,
                                    const std::string& job_id, const std::string& slurm_job_id,
                                    int64_t restarts) {
  if (slurm_job_id.empty()) {
    return InvalidArgument(
        "this is no allocation of Slurm: SLURM_JOB_ID is not set; `halcyon "
        "resume " +
        job_id + "` submits the job again");
  }
  auto submission = ReadSubmission(env, home, job_id);
  if (!submission) return NotFound("job " + job_id + " was not submitted from " + home.root);
  ASSIGN_OR_RETURN(const jobs::ClusterFile cluster, jobs::LoadClusterFile(home.root));
  const Slurm slurm(cluster.commands);
  ASSIGN_OR_RETURN(const auto jobs, slurm.Jobs());
  const auto own = jobs.find(slurm_job_id);
  const NextAllocation next =
      own == jobs.end() ? NextAllocation::kRequeue : NextOf(own->second, restarts);
  if (next == NextAllocation::kCancelled) {
    RETURN_IF_ERROR(RecordSlurmsCancel(env, home, job_id));
    return FailedPrecondition("Slurm job " + slurm_job_id +
                              " was cancelled: it is not requeued. `halcyon resume " + job_id +
                              "` submits the job again");
  }
  submission->slurm_job_id = slurm_job_id;
  RETURN_IF_ERROR(CountRequeue(env, home, &*submission));
  if (next == NextAllocation::kSlurmDoes) return "Slurm requeues job " + slurm_job_id + " itself";
  const absl::Status requeued = slurm.Requeue(slurm_job_id);
  if (requeued.ok()) return "requeued Slurm job " + slurm_job_id;
  ASSIGN_OR_RETURN(submission->slurm_job_id, slurm.Submit({"--dependency=afterany:" + slurm_job_id},
                                                          JoinPath(home.Job(job_id), "slurm.sh")));
  RETURN_IF_ERROR(WriteSubmission(env, home, *submission));
  return fmt::format("submitted Slurm job {} to go on after {}, which cannot be requeued ({})",
                     submission->slurm_job_id, slurm_job_id, MessageOf(requeued));
}

}  // namespace halcyon::coordinator
