#include "coordinator/submit/submit_job.h"

#include <filesystem>
#include <span>

#include "base/clock.h"
#include "coordinator/checks/early_checks.h"
#include "coordinator/job_status.h"
#include "coordinator/run_job.h"
#include "coordinator/submit/detached_run.h"
#include "coordinator/submit/local_queue.h"
#include "coordinator/submit/queue_daemon.h"
#include "coordinator/submit/slurm.h"
#include "coordinator/submit/slurm_script.h"
#include "coordinator/submit/whereabouts.h"
#include "jobs/spec_overrides.h"
#include "jobs/stage_graph.h"
#include "storage/sharing.h"

namespace halcyon::coordinator {
namespace {

std::string ScriptPath(const storage::HomeLayout& home, const std::string& job_id) {
  return JoinPath(home.Job(job_id), "slurm.sh");
}

absl::Status SubmitToSlurm(Env& env, SubmittedJob* job) {
  ASSIGN_OR_RETURN(const jobs::ClusterFile cluster, jobs::LoadClusterFile(job->home.root));
  ASSIGN_OR_RETURN(const std::string script, ScriptOf(*job));
  const std::string path = ScriptPath(job->home, job->submission.job_id);
  RETURN_IF_ERROR(WriteFileAtomically(env, path, script));
  ASSIGN_OR_RETURN(job->submission.slurm_job_id, Slurm(cluster.commands).Submit({}, path));
  return WriteSubmission(env, job->home, job->submission);
}

absl::Status SubmitToQueue(Env& env, const SubmittedJob& job) {
  ASSIGN_OR_RETURN(const auto stages, StagesToMake(job.spec, job.submission.until));
  jobs::LaunchSpec launch = job.spec.launch;
  // Data is made without GPUs.
  if (!HasGang(stages)) launch.device = jobs::DeviceChoice::kCpu;
  return LocalQueue(env, job.home)
      .Add(job.submission.job_id, NeedsOf(launch), job.submission.submitted_ms);
}

absl::Status SubmitToBackground(Env& env, SubmittedJob* job) {
  ASSIGN_OR_RETURN(const auto process, StartDetachedRun(job->home, job->submission, {}));
  job->submission.pid = process.pid;
  job->submission.start_time = process.start_time;
  job->submission.boot_id = cluster::BootId();
  return WriteSubmission(env, job->home, job->submission);
}

absl::Status GiveToLauncher(Env& env, SubmittedJob* job) {
  const Submission& submission = job->submission;
  switch (submission.launcher) {
    case Launcher::kSlurm:
      return SubmitToSlurm(env, job);
    case Launcher::kLocal:
      return SubmitToQueue(env, *job);
    case Launcher::kBackground:
      return SubmitToBackground(env, job);
    case Launcher::kForeground:
      break;
  }
  return Internal("a job in the foreground is not submitted");
}

}  // namespace

absl::StatusOr<std::string> OwnProgram() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return Internal("cannot read /proc/self/exe: " + error.message());
  return self.string();
}

absl::StatusOr<SubmittedJob> ReadJobToSubmit(const std::string& spec_path,
                                             const std::vector<std::string>& set,
                                             const std::string& until, const std::string& home_flag,
                                             Launcher launcher) {
  SubmittedJob job;
  ASSIGN_OR_RETURN(const auto overrides, jobs::ParseOverrides(set));
  ASSIGN_OR_RETURN(job.spec, jobs::LoadJobSpec(spec_path, overrides));
  ASSIGN_OR_RETURN(const auto stages, StagesToMake(job.spec, until));
  // Without the memory of this machine: the job will run on another.
  RETURN_IF_ERROR(WarningsOf(job.spec, stages, std::nullopt).status());
  ASSIGN_OR_RETURN(job.home.root, storage::ChooseHome(home_flag));
  Submission& submission = job.submission;
  submission.spec_path = AbsolutePath(spec_path);
  submission.name = job.spec.name;
  submission.job_id = JobIdOf(job.spec.name, submission.spec_path).value();
  submission.launcher = launcher;
  submission.set = set;
  submission.until = until;
  submission.submitted_ms = Clock::Real()->WallMs();
  submission.host = HostName();
  submission.id = NewSubmissionId(submission.submitted_ms);
  return job;
}

absl::StatusOr<std::string> ScriptOf(const SubmittedJob& job) {
  ASSIGN_OR_RETURN(jobs::ClusterFile cluster, jobs::LoadClusterFile(job.home.root));
  ASSIGN_OR_RETURN(std::string program, OwnProgram());
  return SlurmScript({.job_id = job.submission.job_id,
                      .submission_id = job.submission.id,
                      .logs = job.home.JobLogs(job.submission.job_id),
                      .home = job.home.root,
                      .program = std::move(program),
                      .spec_path = job.submission.spec_path,
                      .set = job.submission.set,
                      .until = job.submission.until,
                      .ranks = job.spec.launch.ranks,
                      .threads = job.spec.launch.threads,
                      .slurm = jobs::WithClusterDefaults(job.spec.launch.slurm, cluster.slurm),
                      .cluster = cluster});
}

absl::Status RecordSubmission(Env& env, const SubmittedJob& job) {
  const std::string& id = job.submission.job_id;
  ASSIGN_OR_RETURN(const storage::HomeLayout home, storage::OpenHome(job.home.root));
  if (job.submission.launcher == Launcher::kLocal) RETURN_IF_ERROR(CheckHasQueue(home));
  RETURN_IF_ERROR(storage::OwnJobFolder(env, home, id));
  const Whereabouts place = WhereaboutsReader(env, home, Clock::Real()).Of(id);
  if (place.is_live || place.is_outstanding) {
    return FailedPrecondition("job " + id + " " + place.text + "; follow it with `halcyon watch " +
                              id + "`, or end it first with `halcyon cancel " + id + "`");
  }
  RETURN_IF_ERROR(env.CreateDirs(home.JobLogs(id)));
  RETURN_IF_ERROR(WriteSubmission(env, home, job.submission));
  if (env.Exists(StatusPath(home, id))) return absl::OkStatus();
  JobStatus status =
      NewJobStatus(id, job.submission.name, jobs::StageGraph(std::span(&job.spec, 1)));
  status.started_ms = status.updated_ms = job.submission.submitted_ms;
  return WriteJobStatus(env, home, status);
}

void ForgetSubmission(Env& env, const SubmittedJob& job, const std::optional<Submission>& before) {
  const std::string& id = job.submission.job_id;
  if (before) {
    WriteSubmission(env, job.home, *before).IgnoreError();
    return;
  }
  env.RemoveFile(SubmissionPath(job.home, id)).IgnoreError();
  const auto status = ReadJobStatus(env, job.home, id);
  if (status.ok() && status->state == jobs::JobState::kQueued) {
    env.RemoveTree(job.home.Job(id)).IgnoreError();
  }
}

absl::Status SubmitAs(Env& env, SubmittedJob* job) {
  // What can be refused is refused before anything is written.
  if (job->submission.launcher == Launcher::kSlurm) RETURN_IF_ERROR(ScriptOf(*job).status());
  const auto before = ReadSubmission(env, job->home, job->submission.job_id);
  RETURN_IF_ERROR(RecordSubmission(env, *job));
  const absl::Status given = GiveToLauncher(env, job);
  if (!given.ok()) ForgetSubmission(env, *job, before);
  return given;
}

}  // namespace halcyon::coordinator
