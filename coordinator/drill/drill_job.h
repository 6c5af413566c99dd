// The small job that a drill runs again and again: its text, its file, and what is compared.
#ifndef HALCYON_COORDINATOR_DRILL_DRILL_JOB_H_
#define HALCYON_COORDINATOR_DRILL_DRILL_JOB_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "coordinator/drill/fault.h"
#include "coordinator/job_status.h"
#include "storage/home.h"

namespace halcyon::coordinator {

// HOME/drill/TIME-PID/: corpus.txt, a job file for each job, and home/, a state folder of its own.
struct DrillFolder {
  std::string root;
  storage::HomeLayout home() const { return {JoinPath(root, "home")}; }
  std::string JobFile(const std::string& name) const { return JoinPath(root, name + ".toml"); }
};

// Generated text of about 1 MB, always the same.
std::string DrillText();
// The job file; `name` is its name. On Slurm it asks for two nodes.
std::string DrillJobText(const std::string& name, DrillPlace place);

// Makes the folder with its text and its state folder.
absl::StatusOr<DrillFolder> MakeDrillFolder(Env& env, const std::string& home_root);

// Has the next job make the stages of these kinds again: removes their artifacts and their work.
// REQUIRES: no job runs in the state folder.
absl::Status RemoveStages(Env& env, const storage::HomeLayout& home,
                          const std::vector<jobs::StageKind>& kinds);

// SHA-256 over the names and digests of the finished model's .safetensors files. kNotFound: the job
// has no model.
absl::StatusOr<std::string> DigestOfWeights(Env& env, const storage::HomeLayout& home,
                                            const JobStatus& job);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_DRILL_DRILL_JOB_H_
