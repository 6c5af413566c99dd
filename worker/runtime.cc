#include "worker/runtime.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <malloc.h>
#include <torch/csrc/api/include/torch/version.h>

#include <cstdlib>

namespace halcyon::worker {
namespace {

// Blocks above this size go back to the system when freed, so that freed units of large models show
// as free memory; glibc would otherwise raise its threshold as it goes. Smaller blocks, the
// activations of small models among them, are kept: mapping them anew each time took a third of
// the time of a step.
constexpr int kMmapThresholdBytes = 64 << 20;
constexpr int kTrimThresholdBytes = 256 << 20;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

void ConfigureRuntime(uint32_t threads) {
  mallopt(M_MMAP_THRESHOLD, kMmapThresholdBytes);
  mallopt(M_TRIM_THRESHOLD, kTrimThresholdBytes);
  at::set_num_threads(static_cast<int>(threads));
  at::set_num_interop_threads(1);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

std::map<std::string, std::string> RuntimeDescription() {
  return {{"threads", std::to_string(at::get_num_threads())},
          {"cpu", at::get_cpu_capability()},
          {"mkl_cbwr", Environment("MKL_CBWR")},
          {"libtorch", TORCH_VERSION}};
}

}  // namespace halcyon::worker
