// The tests that need a GPU. A machine without one fails, it does not skip: this program has a lane
// of its own (CONTRIBUTING.md).
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/cluster/collectives_contract.h"
#include "worker/gpu.h"

int main(int argc, char** argv) {
  // First of all: LibTorch settles once whether there is CUDA.
  const auto plugin = halcyon::worker::OpenGpuPlugin();
  testing::InitGoogleTest(&argc, argv);
  if (GTEST_FLAG_GET(list_tests)) return RUN_ALL_TESTS();
  if (!plugin.ok()) {
    std::fprintf(stderr, "these tests need a GPU: %s\n",
                 halcyon::MessageOf(plugin.status()).c_str());
    return 1;
  }
  std::printf("%s\n", (*plugin)->Versions().c_str());
  for (const std::string& device : (*plugin)->DeviceNames()) std::printf("%s\n", device.c_str());
  halcyon::cluster::sum_error_max = 1e-5f;
  return RUN_ALL_TESTS();
}
