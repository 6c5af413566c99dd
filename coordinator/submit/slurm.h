// Slurm's commands, and what they print. States come from `squeue --json`: sacct needs a database
// that many clusters do not have.
#ifndef HALCYON_COORDINATOR_SUBMIT_SLURM_H_
#define HALCYON_COORDINATOR_SUBMIT_SLURM_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace halcyon::coordinator {

struct SlurmJob {
  std::string id;
  std::string state;     // "PENDING", "RUNNING", "COMPLETING", "CANCELLED", ...
  std::string reason;    // why it is pending; "None" where it is not
  std::string nodes;     // "n[1-2]"; "" without an allocation
  int64_t start_ms = 0;  // wall time; 0: not known
  int64_t end_ms = 0;    // of the allocation, by its time limit; 0: not known or none
  int64_t restarts = 0;

  // Whether Slurm will still run it, or runs it.
  bool IsLive() const;
  // By somebody, while it waited or ran.
  bool WasCancelled() const { return state == "CANCELLED"; }
};

// By job id. kDataLoss: not what squeue --json prints (22.05 and later); kUnavailable: it prints
// that slurmctld did not answer.
absl::StatusOr<std::map<std::string, SlurmJob>> ParseSqueue(std::string_view json);

class Slurm {
 public:
  // `commands`: the folder of sbatch, squeue, scontrol and scancel; "": PATH.
  explicit Slurm(std::string commands) : commands_(std::move(commands)) {}

  // The new job's id. kInvalidArgument: sbatch refuses it, with its words.
  absl::StatusOr<std::string> Submit(const std::vector<std::string>& options,
                                     const std::string& script_path) const;
  // Those in the queue, and those that ended a short while ago. kUnavailable: slurmctld does not
  // answer, or there are no Slurm commands here.
  absl::StatusOr<std::map<std::string, SlurmJob>> Jobs() const;
  absl::Status Cancel(const std::string& id) const;
  // Has a running job begin again from its script, when it has ended.
  absl::Status Requeue(const std::string& id) const;

 private:
  absl::StatusOr<std::string> Run(const std::string& program,
                                  const std::vector<std::string>& arguments) const;

  std::string commands_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_SUBMIT_SLURM_H_
