#include "tests/model/kernels/device_kernels_contract.h"
#include "tests/worker/simulated_gpu/simulated_gpu.h"

namespace halcyon::model {
namespace {

const c10::Device device = [] {
  worker::RegisterSimulatedGpu(/*devices=*/2);
  RegisterKernels(worker::kSimulatedGpu, &worker::SimulatedKernels());
  return c10::Device(worker::kSimulatedGpu, 0);
}();

INSTANTIATE_TEST_SUITE_P(SimulatedGpu, DeviceKernelsContract, testing::Values(device));

}  // namespace
}  // namespace halcyon::model
