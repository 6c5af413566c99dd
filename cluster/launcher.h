// How worker processes are started.
#ifndef HALCYON_CLUSTER_LAUNCHER_H_
#define HALCYON_CLUSTER_LAUNCHER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "cluster/gang.h"
#include "cluster/process.h"
#include "jobs/job_spec.h"

namespace halcyon::cluster {

struct GangOptions {
  uint32_t ranks = 1;
  uint32_t threads = 1;           // a rank
  std::vector<std::string> argv;  // the worker program and its arguments
  std::map<std::string, std::string> env;
  std::string log_path;     // output of launcher and ranks, appended
  std::string scratch_dir;  // the launcher's own temporary files; emptied at the next launch
  std::string working_dir;  // where launcher and ranks start; exists
};

class GangLauncher {
 public:
  virtual ~GangLauncher() = default;
  // Whether gangs can be launched here, asked before the first stage is made. kNotFound or
  // kInvalidArgument says what was found, where, and what to do. `scratch_dir` is as in
  // GangOptions.
  virtual absl::Status Check(const std::string& scratch_dir) = 0;
  virtual absl::StatusOr<std::unique_ptr<Gang>> Launch(const GangOptions& options) = 0;
  // A gang that another coordinator launched, by its record(): see AdoptGang.
  virtual absl::StatusOr<std::unique_ptr<Gang>> Adopt(const nlohmann::json& record) {
    return AdoptGang(record);
  }
};

// Open MPI's mpirun on this machine: more ranks than cores are allowed, waiting ranks yield,
// nothing is bound, temporary files and shared-memory segments stay in scratch_dir, and every port
// is opened on the loopback device alone. An allocation of a resource manager, or another mpirun,
// that this process runs in is ignored. Neither mpirun nor the ranks are ended by stop signals.
std::unique_ptr<GangLauncher> MakeMpirunLauncher();

// Takes what `mpirun --version` printed: OK for Open MPI 4, the version that the worker is built
// against. `path`: where it was found, for the error.
absl::Status CheckMpirunVersion(const std::string& output, const std::string& path);

// The environment that pins the arithmetic of a worker: threads, MKL's reproducible mode, CPU path.
// Also has malloc use huge pages. HALCYON_ARITHMETIC carries the name of `arithmetic` to the
// worker's description of itself.
std::map<std::string, std::string> ReproducibleEnvironment(uint32_t threads,
                                                           jobs::Arithmetic arithmetic);

// The path of halcyon-worker: beside this program. kNotFound tells how to build it.
absl::StatusOr<std::string> WorkerProgram();

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_LAUNCHER_H_
