// What the launchers share. Internal to cluster/.
#ifndef HALCYON_CLUSTER_LAUNCHER_PARTS_H_
#define HALCYON_CLUSTER_LAUNCHER_PARTS_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/launcher.h"

namespace halcyon::cluster {

// Prefixes of the variables that resource managers, or an mpirun that this process runs under, set.
// They are not passed on: a launcher would take its ranks and hosts from them.
const std::vector<std::string>& ForeignLauncherPrefixes();
// The same for what is started within an allocation of Slurm, which needs its other variables.
const std::vector<std::string>& ForeignStepPrefixes();

// Makes the ranks ignore stop signals before their own main() does: launchers reset the
// dispositions that they inherited, and loading LibTorch takes long.
inline constexpr char kRankShell[] = "trap '' HUP INT TERM USR1 USR2; exec \"$0\" \"$@\"";

// "none", "core" or "socket".
std::string_view BindingName(jobs::Binding binding);

std::vector<jobs::HostRanks> PlacementOf(const GangOptions& options,
                                         const std::vector<jobs::Host>& hosts);

// Launches a process on each host, which looks whether the state folder and the worker program
// there are those of this machine. kInvalidArgument: a host where they are not, or that did not
// answer, and what to do; one line a host. kAborted: the job is to stop.
absl::Status ProbeHosts(GangLauncher& launcher, const std::vector<jobs::Host>& hosts,
                        const LauncherCheck& check);

// What has a host run `true`.
using HostCommand = std::function<std::vector<std::string>(const std::string& host)>;

// The hosts where `command` fails or takes more than kHostAnswerMsMax; asks all but this machine at
// once.
std::vector<std::string> HostsThatFail(const std::vector<std::string>& hosts,
                                       const HostCommand& command,
                                       const std::vector<std::string>& env_prefixes_dropped);

// Runs `words` once on a host of an allocation, as a step that shares the processors with others.
std::vector<std::string> SlurmStep(const std::string& srun, const std::string& slurm_job,
                                   const std::string& host, const std::vector<std::string>& words);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_LAUNCHER_PARTS_H_
