// `halcyon run`: runs a job file to its end, with the real clock, network and processes.
#ifndef HALCYON_COORDINATOR_RUN_JOB_H_
#define HALCYON_COORDINATOR_RUN_JOB_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/job_context.h"
#include "coordinator/job_status.h"
#include "coordinator/stages/artifact_store.h"
#include "jobs/job_spec.h"

namespace halcyon::coordinator {

struct FinishedJob {
  JobStatus status;
  jobs::JobSpec spec;
  storage::HomeLayout home;
  std::map<jobs::StageKind, Artifact> artifacts;
};

struct RunOptions {
  bool remake_damaged = false;
  bool from_scratch = false;
  std::vector<std::string> set;  // values in place of the file's: "train.steps=2000"
  std::string until;             // the last stage to make; "": all
  std::string submission;        // that this run was started for; "": it is one of its own
};

// Runs the job of a file to its end, or until a stage; then its status is partial where stages are
// left. Nothing is started when the file, an option or the folder is bad.
// Waits while another process runs the same job. Counts the stop signals from the moment that it
// owns the job.
absl::StatusOr<FinishedJob> RunJob(const std::string& spec_path, const std::string& home_flag,
                                   const RunOptions& options, JobObserver* observer);

// An absolute path, without "." and "..".
std::string AbsolutePath(const std::string& path);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RUN_JOB_H_
