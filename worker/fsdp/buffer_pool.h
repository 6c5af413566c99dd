// Memory of flat arrays that units and their gradients use by turns. Fresh memory from the system
// costs a page fault for every 4 KiB at its first use, which was a seventh of a step's time.
#ifndef HALCYON_WORKER_FSDP_BUFFER_POOL_H_
#define HALCYON_WORKER_FSDP_BUFFER_POOL_H_

#include <ATen/core/Tensor.h>
#include <c10/core/Allocator.h>

#include <cstddef>
#include <utility>
#include <vector>

namespace halcyon::worker {

// Not thread-safe. Keeps host memory only: the caching allocator of CUDA does the same for its
// devices.
class BufferPool {
 public:
  explicit BufferPool(c10::Device device) : device_(device) {}

  c10::DataPtr Take(size_t bytes);
  void Return(c10::DataPtr memory, size_t bytes);

  // A one-dimensional tensor of such memory. It must not be used after its return.
  at::Tensor TakeTensor(int64_t count, at::ScalarType type);
  void ReturnTensor(const at::Tensor& tensor);

 private:
  const c10::Device device_;
  std::vector<std::pair<size_t, c10::DataPtr>> kept_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_FSDP_BUFFER_POOL_H_
