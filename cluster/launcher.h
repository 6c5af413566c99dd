// How worker processes are started. Slurm's launcher will be another GangLauncher.
#ifndef HALCYON_CLUSTER_LAUNCHER_H_
#define HALCYON_CLUSTER_LAUNCHER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "cluster/process.h"

namespace halcyon::cluster {

struct GangOptions {
  uint32_t ranks = 1;
  uint32_t threads = 1;           // a rank
  std::vector<std::string> argv;  // the worker program and its arguments
  std::map<std::string, std::string> env;
  std::string log_path;     // output of launcher and ranks, appended
  std::string scratch_dir;  // the launcher's own temporary files; emptied at the next launch
};

class GangLauncher {
 public:
  virtual ~GangLauncher() = default;
  // The child is the launcher; it ends when all ranks have ended, with a non-zero code when one of
  // them failed. Killing its group ends the gang: ranks that have joined MPI, or have called
  // DieWithParent, end within about a second of their launcher.
  virtual absl::StatusOr<std::unique_ptr<ChildProcess>> Launch(const GangOptions& options) = 0;
};

// Open MPI's mpirun on this machine: more ranks than cores are allowed, waiting ranks yield,
// nothing is bound, temporary files and shared-memory segments stay in scratch_dir.
std::unique_ptr<GangLauncher> MakeMpirunLauncher();

// The environment that pins the arithmetic of a worker: threads, MKL's reproducible mode, CPU path.
std::map<std::string, std::string> ReproducibleEnvironment(uint32_t threads);

// The path of halcyon-worker: beside this program. kNotFound tells how to build it.
absl::StatusOr<std::string> WorkerProgram();

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_LAUNCHER_H_
