// The memory of the simulated GPU: one file in memory, mapped twice. Device addresses are those of
// a mapping that may be neither read nor written.
#ifndef HALCYON_TESTS_WORKER_SIMULATED_GPU_SIMULATED_MEMORY_H_
#define HALCYON_TESTS_WORKER_SIMULATED_GPU_SIMULATED_MEMORY_H_

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "base/check.h"
#include "base/mutex.h"

namespace halcyon::worker {

// Any thread. Blocks are powers of two; what is returned is given out again for the same size.
class SimulatedMemory {
 public:
  static SimulatedMemory& Get() {
    static auto* const memory = new SimulatedMemory;
    return *memory;
  }

  // A device address; null for no bytes.
  void* Take(size_t bytes) {
    if (bytes == 0) return nullptr;
    const size_t size = std::bit_ceil(std::max(bytes, kBlockMin));
    const MutexLock lock(&mutex_);
    std::vector<size_t>& free = free_[size];
    size_t offset = used_;
    if (free.empty()) {
      used_ += size;
      HALCYON_CHECK(used_ <= kBytes);
    } else {
      offset = free.back();
      free.pop_back();
    }
    taken_[offset] = size;
    bytes_ += size;
    peak_bytes_ = std::max(peak_bytes_, bytes_);
    return device_ + offset;
  }

  void Return(void* address) {
    if (address == nullptr) return;
    const size_t offset = static_cast<std::byte*>(address) - device_;
    const MutexLock lock(&mutex_);
    const auto taken = taken_.find(offset);
    HALCYON_CHECK(taken != taken_.end());
    free_[taken->second].push_back(offset);
    bytes_ -= taken->second;
    taken_.erase(taken);
  }

  uint64_t PeakBytes() const {
    const MutexLock lock(&mutex_);
    return peak_bytes_;
  }

  void* HostAlias(const void* address) const {
    const std::ptrdiff_t offset = static_cast<const std::byte*>(address) - device_;
    HALCYON_CHECK(offset >= 0 && static_cast<size_t>(offset) < kBytes);
    return host_ + offset;
  }

 private:
  static constexpr size_t kBytes = size_t{16} << 30;  // of addresses
  static constexpr size_t kBlockMin = 512;

  SimulatedMemory() {
    const int file = memfd_create("simulated-gpu", MFD_CLOEXEC);
    HALCYON_CHECK(file >= 0 && ftruncate(file, kBytes) == 0);
    device_ = Map(file, PROT_NONE);
    host_ = Map(file, PROT_READ | PROT_WRITE);
    close(file);
  }
  static std::byte* Map(int file, int protection) {
    void* const address = mmap(nullptr, kBytes, protection, MAP_SHARED | MAP_NORESERVE, file, 0);
    HALCYON_CHECK(address != MAP_FAILED);
    return static_cast<std::byte*>(address);
  }

  std::byte* device_ = nullptr;
  std::byte* host_ = nullptr;
  mutable Mutex mutex_;
  size_t used_ ABSL_GUARDED_BY(mutex_) = 0;  // addresses
  uint64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0, peak_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<size_t, std::vector<size_t>> free_ ABSL_GUARDED_BY(mutex_);  // offsets, by size
  std::map<size_t, size_t> taken_ ABSL_GUARDED_BY(mutex_);              // size, by offset
};

}  // namespace halcyon::worker

#endif  // HALCYON_TESTS_WORKER_SIMULATED_GPU_SIMULATED_MEMORY_H_
