#include "tests/worker/simulated_gpu/simulated_gpu.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/native/Resize.h>
#include <c10/core/DeviceType.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <cstring>

#include "base/check.h"
#include "tests/worker/simulated_gpu/simulated_memory.h"

namespace halcyon::worker {
namespace {

int device_count = 0;

c10::Device DeviceAt(c10::DeviceIndex index) { return {kSimulatedGpu, index}; }

c10::Stream StreamOf(c10::Device device, c10::StreamId id) {
  return c10::Stream(c10::Stream::UNSAFE, device, id);
}

// Streams have numbers and nothing else.
struct Guard final : public c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kSimulatedGpu; }
  c10::Device exchangeDevice(c10::Device device) const override {
    return DeviceAt(std::exchange(current, device.index()));
  }
  c10::Device getDevice() const override { return DeviceAt(current); }
  void setDevice(c10::Device device) const override { current = device.index(); }
  void uncheckedSetDevice(c10::Device device) const noexcept override { current = device.index(); }
  c10::Stream getStream(c10::Device device) const override { return StreamOf(device, stream); }
  c10::Stream getDefaultStream(c10::Device device) const override { return StreamOf(device, 0); }
  c10::Stream getStreamFromGlobalPool(c10::Device device, bool) const override {
    return StreamOf(device, 1);
  }
  c10::Stream exchangeStream(c10::Stream next) const override {
    return StreamOf(next.device(), std::exchange(stream, next.id()));
  }
  void record(void** event, const c10::Stream&, c10::DeviceIndex, c10::EventFlag) const override {
    *event = &stream;
  }
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
  void synchronizeEvent(void*) const override {}
  void synchronizeDevice(c10::DeviceIndex) const override {}
  c10::DeviceIndex deviceCount() const noexcept override {
    return static_cast<c10::DeviceIndex>(device_count);
  }

  static thread_local c10::DeviceIndex current;
  static thread_local c10::StreamId stream;
};
thread_local c10::DeviceIndex Guard::current = 0;
thread_local c10::StreamId Guard::stream = 0;

struct Allocator final : public c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* const address = SimulatedMemory::Get().Take(bytes);
    return {address, address, &Free, DeviceAt(Guard::current)};
  }
  static void Free(void* address) { SimulatedMemory::Get().Return(address); }
  c10::DeleterFnPtr raw_deleter() const override { return &Free; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    std::memcpy(HostAlias(to), HostAlias(from), bytes);
  }
};

struct Hooks final : public at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return device_count > 0; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::Allocator* getPinnedMemoryAllocator() const override { return c10::GetAllocator(c10::kCPU); }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t bytes) const override {
    at::native::resize_bytes_nocuda(storage, static_cast<int64_t>(bytes));
  }
};

at::Tensor Empty(c10::IntArrayRef size, std::optional<c10::ScalarType> type,
                 std::optional<c10::Layout>, std::optional<c10::Device>, std::optional<bool>,
                 std::optional<c10::MemoryFormat> format) {
  return at::detail::empty_generic(size, c10::GetAllocator(kSimulatedGpu),
                                   c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   c10::dtype_or_default(type), format);
}

at::Tensor EmptyStrided(c10::IntArrayRef size, c10::IntArrayRef stride,
                        std::optional<c10::ScalarType> type, std::optional<c10::Layout>,
                        std::optional<c10::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, c10::GetAllocator(kSimulatedGpu),
                                           c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           c10::dtype_or_default(type));
}

at::Tensor OnHost(const at::Tensor& tensor) { return tensor.is_cpu() ? tensor : HostAlias(tensor); }

at::Tensor CopyFrom(const at::Tensor& from, const at::Tensor& to, bool) {
  OnHost(to).copy_(OnHost(from));
  return to;
}

at::Tensor CopyFromAndResize(const at::Tensor& from, const at::Tensor& to) {
  at::native::resize_(to, from.sizes());
  OnHost(to).copy_(OnHost(from));
  return to;
}

c10::Scalar ToScalar(const at::Tensor& tensor) { return HostAlias(tensor).item(); }

at::Tensor View(const at::Tensor& tensor, c10::IntArrayRef size) {
  return at::native::view(tensor, size);
}

at::Tensor AsStrided(const at::Tensor& tensor, c10::IntArrayRef size, c10::IntArrayRef stride,
                     std::optional<int64_t> offset) {
  return at::native::as_strided_tensorimpl(tensor, size, stride, offset);
}

at::Tensor ReshapeAlias(const at::Tensor& tensor, c10::IntArrayRef size, c10::IntArrayRef stride) {
  return AsStrided(tensor, size, stride, tensor.storage_offset());
}

at::Tensor& SetStorage(at::Tensor& tensor, at::Storage storage, int64_t offset,
                       c10::IntArrayRef size, c10::IntArrayRef stride) {
  tensor.unsafeGetTensorImpl()->set_storage_keep_dtype(std::move(storage));
  tensor.unsafeGetTensorImpl()->set_storage_offset(offset);
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(size, stride);
  return tensor;
}

void RecordStream(at::Tensor&, c10::Stream) {}

void CheckDevice(const at::Tensor& tensor, const c10::OperatorHandle& op) {
  TORCH_CHECK(!tensor.defined() || tensor.device().type() == kSimulatedGpu || tensor.dim() == 0,
              op.schema().operator_name(), ": a tensor of the host among those of a device");
}

void RunOnCpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  for (const c10::IValue& value : torch::jit::last(*stack, op.schema().arguments().size())) {
    if (value.isTensor()) CheckDevice(value.toTensor(), op);
    if (value.isTensorList()) {
      for (const at::Tensor& tensor : value.toTensorVector()) CheckDevice(tensor, op);
    }
  }
  at::native::cpu_fallback(op, stack, /*error_on_views=*/true);
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&RunOnCpu>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty.memory_format", &Empty);
  library.impl("empty_strided", &EmptyStrided);
  library.impl("_copy_from", &CopyFrom);
  library.impl("_copy_from_and_resize", &CopyFromAndResize);
  library.impl("_local_scalar_dense", &ToScalar);
  library.impl("view", &View);
  library.impl("as_strided", &AsStrided);
  library.impl("_reshape_alias", &ReshapeAlias);
  library.impl("set_.source_Storage_storage_offset", &SetStorage);
  library.impl("record_stream", &RecordStream);
}

// The CPU's kernels on the same memory.
class Kernels final : public model::DeviceKernels {
 public:
  void FillRows(const model::RowNumbers& numbers, const at::Tensor& out) const override {
    Cpu().FillRows(numbers, HostAlias(out));
  }
  void AdamW(const model::AdamWUpdate& update, const model::AdamWArrays& arrays) const override {
    Cpu().AdamW(update,
                {HostAlias(arrays.value), HostAlias(arrays.exp_avg), HostAlias(arrays.exp_avg_sq),
                 HostAlias(arrays.gradient), HostAlias(arrays.decays)});
  }
  void SumOfSquares(const at::Tensor& values, const at::Tensor& sum) const override {
    Cpu().SumOfSquares(HostAlias(values), HostAlias(sum));
  }
  model::EnergyPass Energy(const model::EnergyInputs& inputs) const override {
    const model::EnergyPass pass = Cpu().Energy(
        {HostAlias(inputs.samples), HostAlias(inputs.mean), HostAlias(inputs.std),
         inputs.normal.defined() ? HostAlias(inputs.normal) : at::Tensor(), inputs.alpha});
    const c10::Device device = inputs.samples.device();
    return {pass.energy.to(device), pass.target.to(device), pass.spread.to(device),
            pass.gradient.to(device)};
  }
  at::Tensor Argmax(const at::Tensor& rows, const at::Tensor& table) const override {
    return Cpu().Argmax(HostAlias(rows), HostAlias(table)).to(rows.device());
  }

 private:
  static const model::DeviceKernels& Cpu() { return model::KernelsFor(c10::kCPU); }
};

}  // namespace

void RegisterSimulatedGpu(int devices) {
  device_count = devices;
  c10::register_privateuse1_backend("simulated_gpu");
  static Hooks hooks;
  static Allocator allocator;
  at::RegisterPrivateUse1HooksInterface(&hooks);
  c10::SetAllocator(kSimulatedGpu, &allocator);
  static const c10::impl::DeviceGuardImplRegistrar guard(kSimulatedGpu, new Guard);
}

const model::DeviceKernels& SimulatedKernels() {
  static const Kernels kernels;
  return kernels;
}

void* HostAlias(const void* device_address) {
  return SimulatedMemory::Get().HostAlias(device_address);
}

at::Tensor HostAlias(const at::Tensor& tensor) {
  HALCYON_CHECK(tensor.device().type() == kSimulatedGpu);
  const at::TensorOptions options = tensor.options().device(c10::kCPU).requires_grad(false);
  if (tensor.numel() == 0) return at::empty_strided(tensor.sizes(), tensor.strides(), options);
  return at::from_blob(HostAlias(tensor.const_data_ptr()), tensor.sizes(), tensor.strides(),
                       options);
}

}  // namespace halcyon::worker
