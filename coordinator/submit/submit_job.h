// A job file given to something that runs it later: Slurm, or the queue of this machine.
#ifndef HALCYON_COORDINATOR_SUBMIT_SUBMIT_JOB_H_
#define HALCYON_COORDINATOR_SUBMIT_SUBMIT_JOB_H_

#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "coordinator/submit/submission.h"
#include "jobs/job_spec.h"
#include "storage/home.h"

namespace halcyon::coordinator {

struct SubmittedJob {
  jobs::JobSpec spec;
  storage::HomeLayout home;
  Submission submission;
};

// Reads the job file, with every check that does not need the machine that it will run on. The
// job's id is that of `halcyon run`. `until`: the last stage to make; "": all. Nothing is made.
absl::StatusOr<SubmittedJob> ReadJobToSubmit(const std::string& spec_path,
                                             const std::vector<std::string>& set,
                                             const std::string& until, const std::string& home_flag,
                                             Launcher launcher);

// The script that Slurm would run.
absl::StatusOr<std::string> ScriptOf(const SubmittedJob& job);

// Makes the job's folder, with its submission and, for a job that has none, the status "queued".
// kFailedPrecondition when the job runs or waits already; the message says where.
absl::Status RecordSubmission(Env& env, const SubmittedJob& job);
// Takes that back: what was not there before is removed.
void ForgetSubmission(Env& env, const SubmittedJob& job, const std::optional<Submission>& before);

// Records the job and gives it to its launcher: to sbatch (the submission then has Slurm's id), to
// the queue, or to a process in the background.
absl::Status SubmitAs(Env& env, SubmittedJob* job);

// Of this program, for scripts and processes that start it again.
absl::StatusOr<std::string> OwnProgram();

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_SUBMIT_SUBMIT_JOB_H_
