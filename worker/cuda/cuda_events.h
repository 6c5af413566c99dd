// CUDA events that are used again and again: making one costs more than recording it.
#ifndef HALCYON_WORKER_CUDA_CUDA_EVENTS_H_
#define HALCYON_WORKER_CUDA_CUDA_EVENTS_H_

#include <vector>

#include "base/status.h"

struct CUevent_st;

namespace halcyon::worker {

// A cudaError_t as a status; `what` says what was tried.
absl::Status CudaStatus(int error, const char* what);

// Events with times, of the device that is current when they are made. Not thread-safe.
class CudaEvents {
 public:
  CudaEvents() = default;
  ~CudaEvents();
  CudaEvents(const CudaEvents&) = delete;
  CudaEvents& operator=(const CudaEvents&) = delete;

  absl::StatusOr<CUevent_st*> Take();
  // What waits for the event has been put on its stream already.
  void Return(CUevent_st* event) { free_.push_back(event); }

 private:
  std::vector<CUevent_st*> free_, all_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_CUDA_CUDA_EVENTS_H_
