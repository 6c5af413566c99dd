#include "worker/fsdp/buffer_pool.h"

#include <ATen/ATen.h>
#include <c10/core/Storage.h>

#include <algorithm>

namespace halcyon::worker {
namespace {

// Two units gathered and two gradients under way; more are of sizes that come rarely.
constexpr size_t kKeptMax = 4;

}  // namespace

c10::DataPtr BufferPool::Take(size_t bytes) {
  const auto kept =
      std::ranges::find_if(kept_, [bytes](const auto& one) { return one.first == bytes; });
  if (kept == kept_.end()) return c10::GetAllocator(device_.type())->allocate(bytes);
  c10::DataPtr memory = std::move(kept->second);
  kept_.erase(kept);
  return memory;
}

void BufferPool::Return(c10::DataPtr memory, size_t bytes) {
  if (!device_.is_cpu()) return;
  kept_.emplace_back(bytes, std::move(memory));
  // The one that waited longest goes: its size comes rarely.
  if (kept_.size() > kKeptMax) kept_.erase(kept_.begin());
}

at::Tensor BufferPool::TakeTensor(int64_t count, at::ScalarType type) {
  const size_t bytes = count * c10::elementSize(type);
  const c10::Storage storage(c10::Storage::use_byte_size_t(), bytes, Take(bytes),
                             /*allocator=*/nullptr, /*resizable=*/false);
  return at::empty({0}, at::TensorOptions(type).device(device_))
      .set_(storage, /*storage_offset=*/0, {count}, {1});
}

void BufferPool::ReturnTensor(const at::Tensor& tensor) {
  c10::StorageImpl* storage = tensor.storage().unsafeGetStorageImpl();
  const size_t bytes = storage->nbytes();
  Return(storage->set_data_ptr(c10::DataPtr(nullptr, device_)), bytes);
  storage->set_nbytes(0);
}

}  // namespace halcyon::worker
