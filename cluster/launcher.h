// How worker processes are started.
#ifndef HALCYON_CLUSTER_LAUNCHER_H_
#define HALCYON_CLUSTER_LAUNCHER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "cluster/allocation.h"
#include "cluster/gang.h"
#include "cluster/process.h"
#include "jobs/job_spec.h"

namespace halcyon::cluster {

struct GangOptions {
  std::string name = "gang";  // among those of its job: "model-3"
  uint32_t ranks = 1;
  // Where they run; empty: as PlaceRanks spreads them over the launcher's hosts.
  std::vector<jobs::HostRanks> placement = {};
  uint32_t threads = 1;           // a rank
  bool uses_mpi = true;           // false: processes that do not talk to each other
  std::vector<std::string> argv;  // the worker program and its arguments
  std::map<std::string, std::string> env;
  std::string log_path;     // output of launcher and ranks, appended
  std::string scratch_dir;  // the launcher's own temporary files; emptied at the next launch
  std::string working_dir;  // where launcher and ranks start; exists
};

struct LauncherCheck {
  std::string scratch_dir;     // as in GangOptions
  std::string working_dir;     // in the state folder
  std::string worker_program;  // the same on all hosts
  // Whether the job is to stop, so that nobody waits for the answers. Any thread may ask.
  std::function<bool()> is_stopped = [] { return false; };
};

inline constexpr int64_t kHostAnswerMsMax = 15'000;

class GangLauncher {
 public:
  virtual ~GangLauncher() = default;
  // Whether gangs can be launched on all hosts, asked before the first stage is made; takes as long
  // as a launch. kNotFound or kInvalidArgument says what was found, where, and what to do;
  // kAborted: the job is to stop.
  virtual absl::Status Check(const LauncherCheck& check) = 0;
  virtual absl::StatusOr<std::unique_ptr<Gang>> Launch(const GangOptions& options) = 0;
  // Of the hosts of a gang that has failed, those where nothing can be started now. Waits for their
  // answers, kHostAnswerMsMax at most, and counts those that do not answer. This machine is not
  // asked. Any thread, beside the other functions.
  virtual std::vector<std::string> LostHosts(const std::vector<std::string>& hosts) const {
    (void)hosts;
    return {};
  }
  // A gang that another coordinator launched, by its record(): see AdoptGang.
  virtual absl::StatusOr<std::unique_ptr<Gang>> Adopt(const nlohmann::json& record) {
    return AdoptGang(record);
  }
  // The job has ended with this exit code: nothing more is launched.
  virtual void JobEnded(int /*exit_code*/) {}
};

// Open MPI's mpirun: more ranks than cores are allowed, and waiting ranks yield. Neither mpirun nor
// the ranks are ended by stop signals.
//
// On this machine alone, temporary files and shared-memory segments stay in scratch_dir, every port
// is opened on the loopback device alone, and an allocation of a resource manager, or another
// mpirun, that this process runs in is ignored. On several hosts its daemons are started by srun
// within the allocation, else by placement.rsh_agent.
std::unique_ptr<GangLauncher> MakeMpirunLauncher(const jobs::PlacementSpec& placement = {},
                                                 const Allocation& allocation = {});

// Slurm's srun with PMIx, a step of the allocation for each gang, which shares the processors with
// other steps.
// REQUIRES: allocation.slurm_job is not empty.
std::unique_ptr<GangLauncher> MakeSrunLauncher(const jobs::PlacementSpec& placement,
                                               const Allocation& allocation);

// The one that the allocation is for.
std::unique_ptr<GangLauncher> MakeGangLauncher(const jobs::PlacementSpec& placement,
                                               const Allocation& allocation);

// Takes what `mpirun --version` printed: OK for Open MPI 4, the version that the worker is built
// against. `path`: where it was found, for the error.
absl::Status CheckMpirunVersion(const std::string& output, const std::string& path);

// The environment that pins the arithmetic of a worker: threads, MKL's reproducible mode, CPU path.
// Also has malloc use huge pages. HALCYON_ARITHMETIC carries the name of `arithmetic` to the
// worker's description of itself.
std::map<std::string, std::string> ReproducibleEnvironment(uint32_t threads,
                                                           jobs::Arithmetic arithmetic);

// The number of ranks that a launch is for: a rank that finds itself in a world of another size
// ends. Some launchers, asked for N ranks, start N worlds of one.
inline constexpr char kRanksVariable[] = "HALCYON_RANKS";

// The command that has a host run what is appended to it, as mpirun reaches the host by
// launch.rsh_agent ("": ssh, which asks no question). Of a list divided by ':' it takes the first.
std::vector<std::string> RemoteShell(const std::string& rsh_agent, const std::string& host);

// The path of halcyon-worker: beside this program. kNotFound tells how to build it.
absl::StatusOr<std::string> WorkerProgram();

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_LAUNCHER_H_
