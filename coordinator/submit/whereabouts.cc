#include "coordinator/submit/whereabouts.h"

#include <fmt/format.h>

#include "base/exit_code.h"
#include "cluster/process.h"
#include "coordinator/processes/recovery.h"
#include "coordinator/submit/local_queue.h"
#include "jobs/cluster_file.h"

namespace halcyon::coordinator {
namespace {

std::string SlurmText(const SlurmJob& job) {
  std::string text = fmt::format("is Slurm job {}: {}", job.id, job.state);
  if (!job.reason.empty() && job.reason != "None") text += " (" + job.reason + ")";
  if (!job.nodes.empty()) text += " on " + job.nodes;
  return text;
}

// Whether what was submitted has come to its end: what is earlier was another run's.
bool HasEnded(const JobStatus& job, const Submission& submission) {
  return (job.state == jobs::JobState::kDone || job.state == jobs::JobState::kPartial ||
          job.state == jobs::JobState::kFailed || job.state == jobs::JobState::kCancelled) &&
         job.updated_ms > submission.submitted_ms;
}

// Of a process on another host nothing is known.
bool RunsInBackground(const Submission& submission) {
  return submission.launcher == Launcher::kBackground && submission.pid > 0 &&
         submission.host == HostName() && submission.boot_id == cluster::BootId() &&
         cluster::IsAlive({static_cast<pid_t>(submission.pid), submission.start_time});
}

// Of a job that a status file calls queued, although Slurm neither runs it nor will.
void EndUnbegun(const Whereabouts& place, JobStatus* job) {
  const std::string id = "Slurm job " + place.submission->slurm_job_id;
  if (place.slurm && place.slurm->WasCancelled()) {
    job->state = jobs::JobState::kCancelled;
    job->exit_code = static_cast<int>(ExitCode::kCancelled);
    job->error = id + " was cancelled before it began";
    return;
  }
  job->state = jobs::JobState::kFailed;
  job->exit_code = static_cast<int>(ExitCode::kJobFailed);
  job->error = place.slurm ? fmt::format("{} ended as {} before the coordinator began", id,
                                         place.slurm->state)
                           : id + " has left Slurm's queue, and its coordinator never began";
}

}  // namespace

Whereabouts WhereaboutsReader::Of(const std::string& job_id) { return Look(job_id, nullptr); }

Whereabouts WhereaboutsReader::Of(const JobStatus& job) { return Look(job.job_id, &job); }

Whereabouts WhereaboutsReader::Look(const std::string& job_id, const JobStatus* known) {
  Whereabouts place;
  place.submission = ReadSubmission(env_, home_, job_id);
  const auto owner = clock_ == nullptr ? OwnerOf(env_, home_, job_id)
                                       : LivingOwnerOf(env_, *clock_, home_, job_id);
  if (owner) {
    place.is_live = true;
    place.coordinator_host = owner->host;
    place.text = fmt::format("runs as process {} on {}", owner->process.pid, owner->host);
  }
  if (!place.submission) return place;
  const bool has_ended = known != nullptr && HasEnded(*known, *place.submission);
  if (place.submission->launcher == Launcher::kSlurm && !has_ended) AddSlurm(&place);
  if (RunsInBackground(*place.submission)) {
    place.is_outstanding = true;
    if (!place.is_live) place.text = fmt::format("begins as process {}", place.submission->pid);
  }
  // The entry of a job that has ended stays until a daemon of its host looks at it.
  if (place.submission->launcher == Launcher::kLocal && !has_ended) {
    if (const auto queued = LocalQueue(env_, home_).Find(job_id)) {
      place.is_outstanding = true;
      if (!place.is_live) place.text = *queued;
    }
  }
  return place;
}

void WhereaboutsReader::AddSlurm(Whereabouts* place) {
  const std::string& id = place->submission->slurm_job_id;
  if (id.empty()) return;
  const auto& jobs = SlurmJobs();
  if (!jobs.ok()) {
    // It may be waiting there: that is not known, and not to be guessed.
    place->slurm_error = MessageOf(jobs.status());
    place->text =
        fmt::format("{}; Slurm does not answer ({})",
                    place->is_live ? place->text : "was Slurm job " + id, place->slurm_error);
    return;
  }
  const auto found = jobs->find(id);
  if (found == jobs->end()) return;
  place->slurm = found->second;
  place->is_outstanding = found->second.IsLive();
  if (place->is_outstanding || !place->is_live) place->text = SlurmText(found->second);
}

const absl::StatusOr<std::map<std::string, SlurmJob>>& WhereaboutsReader::SlurmJobs() {
  if (slurm_jobs_) return *slurm_jobs_;
  const auto cluster = jobs::LoadClusterFile(home_.root);
  slurm_jobs_ = cluster.ok() ? Slurm(cluster->commands).Jobs() : cluster.status();
  return *slurm_jobs_;
}

void ShowPlace(const Whereabouts& place, JobStatus* job) {
  const bool was_stopped =
      job->state == jobs::JobState::kPreempted || job->state == jobs::JobState::kInterrupted;
  if (was_stopped && place.slurm && place.slurm->WasCancelled()) {
    job->state = jobs::JobState::kCancelled;
  }
  const bool is_slurms = place.submission && place.submission->launcher == Launcher::kSlurm &&
                         !place.submission->slurm_job_id.empty() && place.slurm_error.empty();
  if (job->state == jobs::JobState::kQueued && is_slurms && !place.is_live &&
      !place.is_outstanding) {
    EndUnbegun(place, job);
  }
  if (place.is_outstanding && !place.is_live && job->state != jobs::JobState::kRunning) {
    job->state = jobs::JobState::kQueued;
  }
}

nlohmann::json ToJson(const Whereabouts& place) {
  if (!place.submission) return nullptr;
  nlohmann::json json = {{"launcher", NameOf(place.submission->launcher)}, {"where", place.text}};
  if (place.submission->launcher != Launcher::kSlurm) return json;
  json["slurm_job_id"] = place.submission->slurm_job_id;
  json["slurm_state"] = place.slurm ? place.slurm->state : "";
  json["slurm_reason"] = place.slurm ? place.slurm->reason : "";
  json["slurm_nodes"] = place.slurm ? place.slurm->nodes : "";
  json["slurm_error"] = place.slurm_error;
  return json;
}

}  // namespace halcyon::coordinator
