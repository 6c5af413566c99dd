// A GPU that needs none: LibTorch's spare device type (kPrivateUse1) with memory of its own, whose
// operations are run on the CPU. For what a CPU cannot show of code for GPUs:
//   - a device address is no host address: whoever reads or writes it directly gets SIGSEGV;
//   - tensors of different devices are not mixed: such an operation throws, as on a GPU, but for
//     tensors without dimensions, which may lie on the host;
//   - autograd runs backward on a thread of the device.
// Streams and events are there, but all work is done when a function returns: what is wrong in
// their use is not found here.
#ifndef HALCYON_TESTS_WORKER_SIMULATED_GPU_SIMULATED_GPU_H_
#define HALCYON_TESTS_WORKER_SIMULATED_GPU_SIMULATED_GPU_H_

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "model/kernels/device_kernels.h"

namespace halcyon::worker {

inline constexpr c10::DeviceType kSimulatedGpu = c10::kPrivateUse1;

// Registers the device type; before any tensor of it is made, once a process. `devices`: of the
// type; they share one memory.
void RegisterSimulatedGpu(int devices);

// The table of own kernels, which runs the CPU's.
const model::DeviceKernels& SimulatedKernels();

// Where the host finds what lies at a device address. Aborts for any other address.
void* HostAlias(const void* device_address);
// The same tensor, as a tensor of the host. `tensor` keeps the memory alive.
at::Tensor HostAlias(const at::Tensor& tensor);

}  // namespace halcyon::worker

#endif  // HALCYON_TESTS_WORKER_SIMULATED_GPU_SIMULATED_GPU_H_
