// Halcyon's own kernels, one table of them for each kind of device. The CPU's is always there; the
// GPU's comes with the plugin (worker/cuda/), so that nothing here needs CUDA. What model/ and
// worker/fsdp/ compute beyond LibTorch's operations goes through the table of the tensors' device.
//
// All tensors of a call lie on one device and are contiguous. A GPU's functions put their work on
// its current stream and return; the results are there for what follows on that stream. Tables are
// stateless: any thread. Tests of both tables: tests/model/kernels/device_kernels_contract.h.
#ifndef HALCYON_MODEL_KERNELS_DEVICE_KERNELS_H_
#define HALCYON_MODEL_KERNELS_DEVICE_KERNELS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "base/philox.h"
#include "jobs/job_spec.h"

namespace halcyon::model {

// Numbers first, first + 1, ... of the Philox streams of some samples (base/philox.h).
struct RowNumbers {
  enum class Law : uint8_t { kUniform, kNormal };
  uint64_t seed = 0;
  NoiseStream stream{};
  uint64_t step = 0;
  std::span<const uint64_t> samples;  // of each row, below 2^32; read before the call returns
  uint64_t first = 0;
  Law law = Law::kUniform;
};

// One update of a flat array, as AdamWStep (model/optimizer.h) defines it.
struct AdamWUpdate {
  const jobs::TrainSpec& train;
  double learning_rate = 0;
  uint64_t update = 1;  // 1, 2, ...
  double gradient_scale = 1;
};

// All of one length: float32, `decays` uint8.
struct AdamWArrays {
  at::Tensor value, exp_avg, exp_avg_sq;  // overwritten
  at::Tensor gradient, decays;
};

// Of the energy loss (model/energy/energy_loss.h), float32.
struct EnergyInputs {
  at::Tensor samples;    // [count, positions, latent], count >= 2
  at::Tensor mean, std;  // [positions, latent]
  at::Tensor normal;     // [draws, positions, latent]: estimates the target; undefined: exact
  double alpha = 1;      // in (0, 2]
};

// The energy loss of each position, float32.
struct EnergyPass {
  at::Tensor energy, target, spread;  // [positions]
  at::Tensor gradient;                // [count, positions, latent]: of the sum of energies
};

class DeviceKernels {
 public:
  virtual ~DeviceKernels() = default;

  // out: float32 [samples, any number a row]. Integers and uniform numbers are the same bits on
  // every device; normal ones within 2 units in the last place of the CPU's.
  virtual void FillRows(const RowNumbers& numbers, const at::Tensor& out) const = 0;

  virtual void AdamW(const AdamWUpdate& update, const AdamWArrays& arrays) const = 0;

  // sum: float64 [1] = the sum of squares of `values`, float32 [any]. Made in float64 over blocks
  // of fixed size whose sums are added in order: the same bits for any number of threads.
  virtual void SumOfSquares(const at::Tensor& values, const at::Tensor& sum) const = 0;

  virtual EnergyPass Energy(const EnergyInputs& inputs) const = 0;

  // rows [R, H], table [V, H], float32, V >= 1 -> int64 [R], as BlockedArgmax (model/argmax.h).
  virtual at::Tensor Argmax(const at::Tensor& rows, const at::Tensor& table) const = 0;
};

// The table for tensors of `device`. REQUIRES: a CPU, or a device whose table is registered.
const DeviceKernels& KernelsFor(c10::Device device);

// `kernels` lives as long as the process. Call before other threads use KernelsFor.
void RegisterKernels(c10::DeviceType type, const DeviceKernels* kernels);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_KERNELS_DEVICE_KERNELS_H_
