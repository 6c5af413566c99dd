// Moving a tensor to where a network computes.
#ifndef HALCYON_MODEL_TO_DEVICE_H_
#define HALCYON_MODEL_TO_DEVICE_H_

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace halcyon::model {

// `tensor` itself where it lies there. From the host to a GPU without waiting: what the GPU is
// given afterwards sees the copy, and CUDA takes the bytes out of pageable memory before it
// returns. REQUIRES: `device` is not the host, or `tensor` lies there already; use cpu() to come
// back.
inline at::Tensor ToDevice(const at::Tensor& tensor, c10::Device device) {
  return tensor.to(device, tensor.scalar_type(), /*non_blocking=*/true);
}

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_TO_DEVICE_H_
