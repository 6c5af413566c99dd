// On which hosts a job runs, and what starts its processes there: from its [launch], and from the
// Slurm allocation that this process runs in.
#ifndef HALCYON_CLUSTER_ALLOCATION_H_
#define HALCYON_CLUSTER_ALLOCATION_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "jobs/hosts.h"
#include "jobs/job_spec.h"

namespace halcyon::cluster {

struct Allocation {
  std::vector<jobs::Host> hosts;  // empty: this machine alone
  std::string slurm_job;          // whose allocation the hosts are; "": none's
  bool by_srun = false;           // else by mpirun: within an allocation over srun, elsewhere ssh
};

// What FindAllocation looks at.
struct Surroundings {
  // An environment variable; nullopt: not set.
  std::function<std::optional<std::string>(const std::string&)> variable;
  // What `srun --mpi=list` prints.
  std::function<absl::StatusOr<std::string>()> mpi_list;
  std::string host_name;  // of this machine
  static Surroundings OfThisProcess();
};

// kInvalidArgument: a host list or hostfile that cannot be used; srun without an allocation, or
// where Slurm has no PMIx, without which it would start every rank as a world of its own.
absl::StatusOr<Allocation> FindAllocation(const jobs::LaunchSpec& launch,
                                          const Surroundings& surroundings);

// Whether a host of an allocation is the machine of that name.
bool IsHost(const std::string& host, const std::string& host_name);

// Those of the hosts that have none of the names, which processes there gave as their machine's.
std::vector<jobs::Host> HostsWithout(const std::vector<jobs::Host>& hosts,
                                     const std::vector<std::string>& host_names);

// Whether the output of `srun --mpi=list` has PMIx.
bool HasPmix(const std::string& mpi_list);

// The address of this machine's interface that leads to `host`. kUnavailable: the name is not
// known, or there is no way to it.
absl::StatusOr<std::string> AddressTowards(const std::string& host);

// Of an address as a number, an IPv6 one without brackets.
bool IsLoopback(const std::string& address);

// The first address of a name, as a number. kUnavailable: the name is not known.
absl::StatusOr<std::string> NumericAddressOf(const std::string& name);

// Where the coordinator listens: `ipc_path` while only this machine takes part, else
// "tcp://ADDRESS:*" with a number, of launch.coordinator_address or of the interface that leads to
// the first other host; with launcher = "external" of the interface with the default route, else
// loopback. kUnavailable: an address is not known; kInvalidArgument: the setting is loopback, and
// there are other hosts.
absl::StatusOr<std::string> CoordinatorEndpoint(const jobs::LaunchSpec& launch,
                                                const Allocation& allocation,
                                                const std::string& host_name,
                                                const std::string& ipc_path);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_ALLOCATION_H_
