#include "worker/runtime.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <malloc.h>
#include <torch/csrc/api/include/torch/version.h>

#include <cstdlib>
#include <cstring>

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

// "AuthenticAMD 25/17": vendor, family and model, by which the libraries choose their code.
std::string Processor() {
#if defined(__x86_64__)
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(0, &a, &b, &c, &d) == 0) return "";
  std::string vendor(12, ' ');
  std::memcpy(&vendor[0], &b, 4);
  std::memcpy(&vendor[4], &d, 4);
  std::memcpy(&vendor[8], &c, 4);
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return vendor;
  // The extended fields count for the families that say so.
  const uint32_t base_family = a >> 8 & 0xf, base_model = a >> 4 & 0xf;
  const uint32_t family = base_family == 0xf ? base_family + (a >> 20 & 0xff) : base_family;
  const bool extended = base_family == 0xf || base_family == 6;
  const uint32_t model = extended ? base_model + (a >> 12 & 0xf0) : base_model;
  return vendor + " " + std::to_string(family) + "/" + std::to_string(model);
#else
  return "";
#endif
}

}  // namespace

void ConfigureRuntime(uint32_t threads) {
  mallopt(M_MMAP_THRESHOLD, kMmapThresholdBytes);
  mallopt(M_TRIM_THRESHOLD, kTrimThresholdBytes);
  at::set_num_threads(static_cast<int>(threads));
  at::set_num_interop_threads(1);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

std::map<std::string, std::string> RuntimeDescription(const std::string& device) {
  return {{"device", device},
          {"threads", std::to_string(at::get_num_threads())},
          {"arithmetic", Environment("HALCYON_ARITHMETIC")},
          {"cpu", at::get_cpu_capability()},
          {"processor", Processor()},
          {"mkl_cbwr", Environment("MKL_CBWR")},
          {"libtorch", TORCH_VERSION}};
}

}  // namespace halcyon::worker
