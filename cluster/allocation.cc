#include "cluster/allocation.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <numeric>

#include "base/env.h"
#include "base/file_descriptor.h"
#include "base/process_identity.h"
#include "cluster/program_output.h"

namespace halcyon::cluster {
namespace {

constexpr int64_t kMpiListMsMax = 30'000;
// No host's (RFC 5737); packets to it would take the default route.
constexpr char kElsewhere[] = "192.0.2.1";

// Sum of one of the numbers that Slurm gives for each node.
int64_t Sum(const std::vector<int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

// Slurm's counts for the nodes; empty where it gives none that fit.
std::vector<int64_t> CountsOf(const Surroundings& surroundings, const std::string& name,
                              size_t nodes) {
  const auto text = surroundings.variable(name);
  if (!text) return {};
  auto counts = jobs::ExpandCounts(*text);
  return counts.ok() && counts->size() == nodes ? *std::move(counts) : std::vector<int64_t>();
}

// The nodes of the allocation, whose slots are the tasks that were asked for where these suffice
// for the ranks, else the processors where those do.
absl::StatusOr<std::vector<jobs::Host>> SlurmHosts(const jobs::LaunchSpec& launch,
                                                   const Surroundings& surroundings) {
  const auto list = surroundings.variable("SLURM_JOB_NODELIST");
  if (!list) return std::vector<jobs::Host>();
  ASSIGN_OR_RETURN(const auto names, jobs::ExpandNodeList(*list), "SLURM_JOB_NODELIST");
  const auto tasks = CountsOf(surroundings, "SLURM_TASKS_PER_NODE", names.size());
  const auto cpus = CountsOf(surroundings, "SLURM_JOB_CPUS_PER_NODE", names.size());
  std::vector<jobs::Host> hosts;
  for (size_t i = 0; i < names.size(); ++i) {
    jobs::Host host{names[i]};
    if (!cpus.empty()) host.cpus = cpus[i];
    if (Sum(tasks) >= launch.ranks) {
      host.slots = tasks[i];
    } else if (Sum(cpus) >= launch.ranks * launch.threads) {
      host.slots = cpus[i] / launch.threads;
    }
    hosts.push_back(host);
  }
  return hosts;
}

absl::StatusOr<std::vector<jobs::Host>> NamedHosts(const jobs::PlacementSpec& placement) {
  if (placement.hostfile.empty()) return jobs::ParseHosts(placement.hosts);
  ASSIGN_OR_RETURN(const std::string text, Env::Posix()->ReadFile(placement.hostfile),
                   "launch.hostfile");
  return jobs::ParseHostfile(text, placement.hostfile);
}

absl::Status NoPmix(const std::string& mpi_list) {
  return InvalidArgument(
      "launch.launcher = \"srun\": this Slurm has no PMIx, without which every rank would be alone "
      "(`srun --mpi=list` printed: " +
      mpi_list + "); install Slurm's PMIx plugin, or use launch.launcher = \"mpirun\"");
}

// Whether srun is to start the processes on hosts of an allocation.
absl::StatusOr<bool> BySrun(jobs::LauncherKind kind, bool is_one_host,
                            const Surroundings& surroundings) {
  if (kind == jobs::LauncherKind::kMpirun) return false;
  if (kind == jobs::LauncherKind::kAuto && is_one_host) return false;
  const absl::StatusOr<std::string> list = surroundings.mpi_list();
  if (list.ok() && HasPmix(*list)) return true;
  if (kind == jobs::LauncherKind::kAuto) return false;
  RETURN_IF_ERROR(list.status());
  return NoPmix(*list);
}

// Whole, or without its domain.
bool IsNamed(const std::string& host, const std::string& host_name) {
  return host == host_name || host == host_name.substr(0, host_name.find('.'));
}

struct AddressListDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

std::string NumericAddress(const sockaddr* address, socklen_t size) {
  char text[INET6_ADDRSTRLEN] = {};
  const int error = getnameinfo(address, size, text, sizeof(text), nullptr, 0, NI_NUMERICHOST);
  return error == 0 ? text : "";
}

using AddressList = std::unique_ptr<addrinfo, AddressListDeleter>;

absl::StatusOr<AddressList> Resolve(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), "9", &hints, &found);  // any port
  if (error != 0) {
    return Unavailable("the address of " + host + " is not known here: " + gai_strerror(error));
  }
  return AddressList(found);
}

// Connecting a datagram socket sends nothing; the kernel chooses the interface.
std::string AddressThatLeadsTo(const addrinfo& to) {
  const FileDescriptor socket(::socket(to.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0 || connect(socket.get(), to.ai_addr, to.ai_addrlen) != 0) return "";
  sockaddr_storage own{};
  socklen_t size = sizeof(own);
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) return "";
  return NumericAddress(reinterpret_cast<const sockaddr*>(&own), size);
}

}  // namespace

Surroundings Surroundings::OfThisProcess() {
  return {[](const std::string& variable) -> std::optional<std::string> {
            const char* value = std::getenv(variable.c_str());
            return value == nullptr ? std::nullopt : std::optional<std::string>(value);
          },
          [] {
            return ProgramOutput({"srun", "--mpi=list"}, {}, kMpiListMsMax);
          },
          HostName()};
}

bool IsHost(const std::string& host, const std::string& host_name) {
  return IsNamed(host, host_name) || host == "localhost" || host == "127.0.0.1";
}

std::vector<jobs::Host> HostsWithout(const std::vector<jobs::Host>& hosts,
                                     const std::vector<std::string>& host_names) {
  std::vector<jobs::Host> left;
  std::ranges::copy_if(hosts, std::back_inserter(left), [&](const jobs::Host& host) {
    return std::ranges::none_of(host_names,
                                [&](const std::string& name) { return IsNamed(host.name, name); });
  });
  return left;
}

bool HasPmix(const std::string& mpi_list) { return mpi_list.find("pmix") != std::string::npos; }

absl::StatusOr<Allocation> FindAllocation(const jobs::LaunchSpec& launch,
                                          const Surroundings& surroundings) {
  const jobs::PlacementSpec& placement = launch.placement;
  // Agents then run on this machine; where ranks are is for others to say.
  if (placement.launcher == jobs::LauncherKind::kExternal) return Allocation{};
  const bool wants_srun = placement.launcher == jobs::LauncherKind::kSrun;
  ASSIGN_OR_RETURN(const auto nodes, SlurmHosts(launch, surroundings));
  Allocation allocation;
  if (!placement.hosts.empty() || !placement.hostfile.empty()) {
    ASSIGN_OR_RETURN(allocation.hosts, NamedHosts(placement));
    if (allocation.hosts.size() == 1 && !wants_srun &&
        IsHost(allocation.hosts[0].name, surroundings.host_name)) {
      return Allocation{};
    }
  } else if (nodes.size() > 1 || wants_srun) {
    allocation.hosts = nodes;
  } else {
    return Allocation{};
  }
  const bool are_nodes = std::ranges::all_of(allocation.hosts, [&](const jobs::Host& host) {
    return std::ranges::any_of(nodes, [&](const auto& node) { return node.name == host.name; });
  });
  const auto job = surroundings.variable("SLURM_JOB_ID");
  if (job && !nodes.empty() && are_nodes) {
    allocation.slurm_job = *job;
    ASSIGN_OR_RETURN(allocation.by_srun,
                     BySrun(placement.launcher, allocation.hosts.size() == 1, surroundings));
  } else if (wants_srun) {
    return InvalidArgument(
        "launch.launcher = \"srun\" needs a Slurm allocation that has the job's hosts: use "
        "halcyon submit, or run this within sbatch or salloc");
  }
  return allocation;
}

absl::StatusOr<std::string> AddressTowards(const std::string& host) {
  ASSIGN_OR_RETURN(const AddressList list, Resolve(host));
  for (const addrinfo* to = list.get(); to != nullptr; to = to->ai_next) {
    const std::string address = AddressThatLeadsTo(*to);
    if (!address.empty()) return address;
  }
  return Unavailable("no interface of this machine leads to " + host);
}

bool IsLoopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1";
}

absl::StatusOr<std::string> NumericAddressOf(const std::string& name) {
  ASSIGN_OR_RETURN(const AddressList list, Resolve(name));
  return NumericAddress(list->ai_addr, list->ai_addrlen);
}

namespace {

// An address at which no other machine finds this one.
bool LeadsNowhere(const std::string& address) {
  return IsLoopback(address) || address == "0.0.0.0" || address == "::";
}

}  // namespace

absl::StatusOr<std::string> CoordinatorEndpoint(const jobs::LaunchSpec& launch,
                                                const Allocation& allocation,
                                                const std::string& host_name,
                                                const std::string& ipc_path) {
  const auto other = std::ranges::find_if(
      allocation.hosts, [&](const jobs::Host& host) { return !IsHost(host.name, host_name); });
  const bool is_external = launch.placement.launcher == jobs::LauncherKind::kExternal;
  if (other == allocation.hosts.end() && !is_external) return "ipc://" + ipc_path;
  std::string address = launch.placement.coordinator_address;
  if (address.empty() && is_external) {
    // Where the members are is not known: the way that leads out, where there is one.
    address = AddressTowards(kElsewhere).value_or("127.0.0.1");
  } else if (address.empty()) {
    ASSIGN_OR_RETURN(address, AddressTowards(other->name),
                     "set launch.coordinator_address to where the hosts reach this machine");
  } else {
    // ZeroMQ binds no names of hosts.
    if (address.starts_with('[') && address.ends_with(']')) {
      address = address.substr(1, address.size() - 2);
    }
    ASSIGN_OR_RETURN(const std::string numeric, NumericAddressOf(address),
                     "launch.coordinator_address");
    if (LeadsNowhere(numeric) && other != allocation.hosts.end()) {
      return InvalidArgument("launch.coordinator_address: " + address +
                             " is each machine's own address, where host " + other->name +
                             " finds itself; give one at which the hosts reach this machine");
    }
    address = numeric;
  }
  return "tcp://" + (address.find(':') != std::string::npos ? "[" + address + "]" : address) + ":*";
}

}  // namespace halcyon::cluster
