#include "cluster/launcher.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/env.h"

namespace halcyon::cluster {
namespace {

bool ProcessorHasAvx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2");
#else
  return false;
#endif
}

}  // namespace

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
