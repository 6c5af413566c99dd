// The faults that `halcyon drill` makes, and where each can be made. Pure.
#ifndef HALCYON_COORDINATOR_DRILL_FAULT_H_
#define HALCYON_COORDINATOR_DRILL_FAULT_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace halcyon::coordinator {

enum class Fault {
  kKillRank,         // SIGKILL to the last rank
  kStopRank,         // SIGSTOP to the last rank: it exists and does nothing
  kStuckRank,        // the last rank's training thread stands still, its heartbeats go on
  kKillLauncher,     // SIGKILL to mpirun or srun
  kKillCoordinator,  // SIGKILL to `halcyon run`
  kKillAgent,        // SIGKILL to an agent, while latents are made
  kPreempt,          // told to stop, and run again: SIGTERM; on Slurm `scontrol requeue`
};
// "kill-rank".
std::string_view NameOf(Fault fault);
// What is done, for a person: "rank 1 is killed (SIGKILL)".
std::string_view DescriptionOf(Fault fault);

// What the ranks of the drill's job are started by.
enum class DrillPlace {
  kMachine,  // on this machine alone
  kHosts,    // over a list of hosts ([launch] hosts, hostfile)
  kSlurm,    // through `halcyon submit --launcher slurm`
};

// Those that can be made there, in the order in which they are made.
std::vector<Fault> FaultsAt(DrillPlace place);
// Of names with commas between; "" stands for all that can be made there. kInvalidArgument: no such
// name, one that is given twice, or a fault that cannot be made there.
absl::StatusOr<std::vector<Fault>> ParseFaults(std::string_view names, DrillPlace place);

// Whether the fault is made while the latents are encoded; else the model is trained.
inline bool IsOfAgents(Fault fault) { return fault == Fault::kKillAgent; }

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_DRILL_FAULT_H_
