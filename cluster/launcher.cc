#include "cluster/launcher.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/env.h"

namespace halcyon::cluster {
namespace {

enum class Instructions { kAvx2, kAvx512 };

// kAvx512: the sets that ATen wants before it takes its path of that name.
bool ProcessorHas(Instructions instructions) {
#if defined(__x86_64__)
  if (instructions == Instructions::kAvx2) return __builtin_cpu_supports("avx2");
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("fma");
#else
  (void)instructions;
  return false;
#endif
}

// malloc asks for huge pages: a step takes hundreds of megabytes of temporaries, whose small pages
// cost 1 to 4 % of it, in faults and in look-ups.
std::string WithHugePages() {
  const char* given = std::getenv("GLIBC_TUNABLES");
  const std::string huge_pages = "glibc.malloc.hugetlb=1";
  return given == nullptr || *given == 0 ? huge_pages : std::string(given) + ":" + huge_pages;
}

}  // namespace

std::map<std::string, std::string> ReproducibleEnvironment(uint32_t threads,
                                                           jobs::Arithmetic arithmetic) {
  const std::string count = std::to_string(threads);
  // The number of threads decides how sums are split; "dynamic" would let the libraries lower it.
  std::map<std::string, std::string> environment = {{"OMP_NUM_THREADS", count},
                                                    {"OMP_DYNAMIC", "false"},
                                                    {"MKL_NUM_THREADS", count},
                                                    {"MKL_DYNAMIC", "false"},
                                                    {"GLIBC_TUNABLES", WithHugePages()}};
  // Each library picks its widest code path, and these round differently.
  const bool avx2 = ProcessorHas(Instructions::kAvx2);
  if (arithmetic == jobs::Arithmetic::kNative) {
    // Named in full, so that what the user's environment says does not count. AUTO makes MKL give
    // the same bits in each run on one type of processor.
    const bool avx512 = ProcessorHas(Instructions::kAvx512);
    environment.emplace("HALCYON_ARITHMETIC", "native");
    environment.emplace("ATEN_CPU_CAPABILITY", avx512 ? "avx512" : avx2 ? "avx2" : "default");
    environment.emplace("MKL_CBWR", "AUTO");
    environment.emplace("ONEDNN_MAX_CPU_ISA", "DEFAULT");
    return environment;
  }
  // AVX2 is what nearly all x86 machines have, so one with AVX-512 and one without agree. On
  // processors that are not Intel's, MKL reads AVX2 as AUTO: one path for each kind of processor.
  // COMPATIBLE would agree everywhere, at two to three times the cost; STRICT adds nothing when
  // threads are fixed.
  environment.emplace("HALCYON_ARITHMETIC", "portable");
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
