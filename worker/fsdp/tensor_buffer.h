// Tensors as buffers of collectives.
#ifndef HALCYON_WORKER_FSDP_TENSOR_BUFFER_H_
#define HALCYON_WORKER_FSDP_TENSOR_BUFFER_H_

#include <ATen/core/Tensor.h>

#include "base/check.h"
#include "cluster/buffer.h"

namespace halcyon::worker {

// REQUIRES: contiguous, float32 or bfloat16.
inline cluster::Buffer BufferOf(const at::Tensor& tensor) {
  HALCYON_CHECK(tensor.is_contiguous());
  const bool is_float = tensor.scalar_type() == at::kFloat;
  HALCYON_CHECK(is_float || tensor.scalar_type() == at::kBFloat16);
  return {tensor.mutable_data_ptr(), static_cast<size_t>(tensor.numel()),
          is_float ? cluster::ElementType::kFloat32 : cluster::ElementType::kBFloat16,
          cluster::Device{tensor.is_cpu() ? -1 : tensor.get_device()}};
}

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_FSDP_TENSOR_BUFFER_H_
