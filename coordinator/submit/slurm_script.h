// The script that Slurm runs for a job: `halcyon run` in the allocation, and what is to follow when
// it ends. Pure.
//
// Slurm signals the script's shell and nothing else (--signal=B:). bash runs a trap only when the
// command in its foreground has ended, so Halcyon runs in the background and the shell waits: a
// trap interrupts `wait`, and passes the signal on.
#ifndef HALCYON_COORDINATOR_SUBMIT_SLURM_SCRIPT_H_
#define HALCYON_COORDINATOR_SUBMIT_SLURM_SCRIPT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "jobs/cluster_file.h"
#include "jobs/job_spec.h"

namespace halcyon::coordinator {

struct SlurmScriptOptions {
  std::string job_id;
  std::string submission_id;
  std::string logs;              // the job's folder of logs
  std::string home;              // the state folder
  std::string program;           // halcyon, absolute
  std::string spec_path;         // absolute
  std::vector<std::string> set;  // the words of --set
  std::string until = {};        // the last stage to make; "": all
  int64_t ranks = 1, threads = 1;
  jobs::SlurmSpec slurm;  // with the cluster's defaults
  jobs::ClusterFile cluster;
};

// Of a time as sbatch takes it ("90", "1:30:00", "2-12"); 0: it is not one.
int64_t SlurmTimeSeconds(const std::string& time);

// kInvalidArgument: a path holds what sbatch does not take.
absl::StatusOr<std::string> SlurmScript(const SlurmScriptOptions& options);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_SUBMIT_SLURM_SCRIPT_H_
