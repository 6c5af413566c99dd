#include "worker/cuda/cuda_events.h"

#include <cuda_runtime_api.h>

#include <string>

namespace halcyon::worker {

absl::Status CudaStatus(int error, const char* what) {
  if (error == cudaSuccess) return absl::OkStatus();
  return Internal(std::string(what) +
                  ": CUDA: " + cudaGetErrorString(static_cast<cudaError_t>(error)));
}

CudaEvents::~CudaEvents() {
  for (cudaEvent_t event : all_) cudaEventDestroy(event);
}

absl::StatusOr<CUevent_st*> CudaEvents::Take() {
  if (free_.empty()) {
    cudaEvent_t made = nullptr;
    RETURN_IF_ERROR(CudaStatus(cudaEventCreate(&made), "an event"));
    all_.push_back(made);
    return made;
  }
  cudaEvent_t event = free_.back();
  free_.pop_back();
  return event;
}

}  // namespace halcyon::worker
