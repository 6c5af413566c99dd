// cluster.toml: what the operator of a cluster says about it once, for every job that is submitted
// there. Module loads and variables of the site come from here alone: a job file cannot name any.
// docs/cluster.md documents each key.
#ifndef HALCYON_JOBS_CLUSTER_FILE_H_
#define HALCYON_JOBS_CLUSTER_FILE_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "jobs/job_spec.h"

namespace halcyon::jobs {

struct ClusterFile {
  // [environment]: of the script, before it starts Halcyon
  std::string init;                              // an absolute path, sourced first; "": nothing is
  std::vector<std::string> modules;              // for `module load`, in this order
  std::map<std::string, std::string> variables;  // exported
  // [hosts]
  std::string copy_caches_to;  // as launch.copy_caches_to, for jobs that set none
  // [slurm]
  std::string commands;  // an absolute folder with sbatch, squeue and scontrol; "": PATH
  SlurmSpec slurm;       // defaults for what [launch.slurm] leaves open

  bool operator==(const ClusterFile&) const = default;
};

// Errors are those of a job file: kInvalidArgument, "FILE:LINE: KEY: what is wrong; what to do".
absl::StatusOr<ClusterFile> ParseClusterFile(std::string_view toml, const std::string& file_name);

// The first that exists of HALCYON_CLUSTER (which then must), HOME/cluster.toml and
// /etc/halcyon/cluster.toml; without one, nothing is set. kInvalidArgument too when the file
// belongs to another user than root and this one, or when everybody may write it.
absl::StatusOr<ClusterFile> LoadClusterFile(const std::string& home_root);

// The job's values, and the cluster's where the job has none. Of `options` those of both, the job's
// value where both have one.
SlurmSpec WithClusterDefaults(SlurmSpec job, const SlurmSpec& cluster);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_CLUSTER_FILE_H_
