#include "cluster/launcher.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/env.h"

namespace halcyon::cluster {
namespace {

class MpirunLauncher : public GangLauncher {
 public:
  absl::StatusOr<std::unique_ptr<ChildProcess>> Launch(const GangOptions& options) override {
    RETURN_IF_ERROR(Env::Posix()->RemoveTree(options.scratch_dir));
    RETURN_IF_ERROR(Env::Posix()->CreateDirs(options.scratch_dir));
    ProcessOptions process{
        .argv = Command(options), .env = options.env, .output_path = options.log_path};
    // Threads that wait for work spin by default, which stops the others where cores are short.
    if (options.ranks * options.threads > std::thread::hardware_concurrency()) {
      process.env.emplace("OMP_WAIT_POLICY", "passive");
    }
    // Containers run as root; mpirun wants to hear twice that this is meant.
    process.env.emplace("OMPI_ALLOW_RUN_AS_ROOT", "1");
    process.env.emplace("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    auto child = ChildProcess::Spawn(process);
    if (absl::IsNotFound(child.status())) {
      return Annotate(child.status(), "launching " + std::to_string(options.ranks) +
                                          " ranks (mpirun is in Debian's openmpi-bin)");
    }
    return child;
  }

 private:
  static std::vector<std::string> Command(const GangOptions& options) {
    const std::string ranks = std::to_string(options.ranks);
    std::vector<std::string> command = {"mpirun", "-np", ranks, "--tag-output"};
    // Slots are given, so that there may be more ranks than cores. Open MPI then believes that it
    // has a core for each rank, and must be told that those who wait shall yield.
    command.insert(command.end(), {"--host", "localhost:" + ranks, "--bind-to", "none"});
    const std::vector<std::pair<std::string, std::string>> parameters = {
        {"mpi_yield_when_idle", "1"},
        // Shared memory and the loopback device alone: no network, no fabric and no ssh is needed.
        {"plm", "isolated"},
        {"oob_tcp_if_include", "lo"},
        {"pml", "ob1"},
        {"btl", "self,vader"},
        // Copying straight from the other process needs ptrace rights, which containers lack.
        {"btl_vader_single_copy_mechanism", "none"},
        // kill -9 leaves files behind; here they are found and removed by the next launch.
        {"orte_tmpdir_base", options.scratch_dir},
        {"btl_vader_backing_directory", options.scratch_dir},
    };
    for (const auto& [name, value] : parameters) {
      command.insert(command.end(), {"--mca", name, value});
    }
    for (const auto& [name, value] : options.env) command.insert(command.end(), {"-x", name});
    command.insert(command.end(), options.argv.begin(), options.argv.end());
    return command;
  }
};

bool ProcessorHasAvx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2");
#else
  return false;
#endif
}

}  // namespace

std::unique_ptr<GangLauncher> MakeMpirunLauncher() { return std::make_unique<MpirunLauncher>(); }

std::map<std::string, std::string> ReproducibleEnvironment(uint32_t threads) {
  const std::string count = std::to_string(threads);
  // The number of threads decides how sums are split; "dynamic" would let the libraries lower it.
  std::map<std::string, std::string> environment = {{"OMP_NUM_THREADS", count},
                                                    {"OMP_DYNAMIC", "false"},
                                                    {"MKL_NUM_THREADS", count},
                                                    {"MKL_DYNAMIC", "false"}};
  // Each library picks its widest code path, and these round differently. AVX2 is what nearly all
  // x86 machines have, so one with AVX-512 and one without agree. On processors that are not
  // Intel's, MKL reads AVX2 as AUTO: one path for each kind of processor. COMPATIBLE would agree
  // everywhere, at two to three times the cost; STRICT adds nothing when threads are fixed.
  const bool avx2 = ProcessorHasAvx2();
  environment.emplace("ATEN_CPU_CAPABILITY", avx2 ? "avx2" : "default");
  environment.emplace("MKL_CBWR", avx2 ? "AVX2" : "COMPATIBLE");
  environment.emplace("ONEDNN_MAX_CPU_ISA", avx2 ? "AVX2" : "SSE41");
  return environment;
}

absl::StatusOr<std::string> WorkerProgram() {
  std::string path;
  if (const char* override_path = std::getenv("HALCYON_WORKER")) {
    path = override_path;
  } else {
    std::error_code error;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    if (error) return Internal("cannot read /proc/self/exe: " + error.message());
    path = self.parent_path() / "halcyon-worker";
  }
  if (access(path.c_str(), X_OK) != 0) {
    return NotFound("no worker program at " + path +
                    ": build it (cmake --build BUILD --target halcyon-worker) beside this program, "
                    "or name it in HALCYON_WORKER");
  }
  return path;
}

}  // namespace halcyon::cluster
