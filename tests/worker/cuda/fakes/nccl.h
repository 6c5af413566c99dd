// In the place of NCCL's header, for one rank: see fake_device.h.
#ifndef HALCYON_TESTS_WORKER_CUDA_FAKES_NCCL_H_
#define HALCYON_TESTS_WORKER_CUDA_FAKES_NCCL_H_

#include <cstring>

#include "tests/worker/cuda/fakes/cuda_runtime_api.h"

enum ncclResult_t {
  ncclSuccess = 0,
  ncclSystemError = 2,
  ncclInternalError = 3,
  ncclRemoteError = 6
};
enum ncclDataType_t { ncclFloat32, ncclBfloat16 };
enum ncclRedOp_t { ncclSum };
struct ncclUniqueId {
  char internal[128];
};
struct ncclComm {};
using ncclComm_t = ncclComm*;

inline const char* ncclGetErrorString(ncclResult_t) { return "a fake fault"; }
inline const char* ncclGetLastError(ncclComm_t) { return "peer 10.0.0.7"; }
inline ncclResult_t ncclGetUniqueId(ncclUniqueId*) { return ncclSuccess; }
inline ncclResult_t ncclCommInitRank(ncclComm_t* made, int, ncclUniqueId, int) {
  *made = new ncclComm;
  return ncclSuccess;
}
inline ncclResult_t ncclCommSplit(ncclComm_t, int, int, ncclComm_t* made, const void*) {
  *made = new ncclComm;
  return ncclSuccess;
}
inline ncclResult_t ncclCommDestroy(ncclComm_t communicator) {
  ++halcyon::fake::TheDevice().destroyed;
  delete communicator;
  return ncclSuccess;
}
// Kernels that wait for others end.
inline ncclResult_t ncclCommAbort(ncclComm_t communicator) {
  halcyon::fake::Device& device = halcyon::fake::TheDevice();
  const std::lock_guard lock(device.mutex);
  ++device.aborted;
  device.communication.held = false;
  delete communicator;
  return ncclSuccess;
}
inline ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* found) {
  const std::lock_guard lock(halcyon::fake::TheDevice().mutex);
  *found = static_cast<ncclResult_t>(halcyon::fake::TheDevice().nccl_fault);
  return ncclSuccess;
}
inline ncclResult_t ncclAllGather(const void* in, void* out, size_t count, ncclDataType_t,
                                  ncclComm_t, cudaStream_t stream) {
  halcyon::fake::Device& device = halcyon::fake::TheDevice();
  const std::lock_guard lock(device.mutex);
  if (device.nccl_refuses) return ncclSystemError;
  stream->work.push_back([=] { return std::memcpy(out, in, count * sizeof(float)), true; });
  return ncclSuccess;
}
inline ncclResult_t ncclReduceScatter(const void* in, void* out, size_t count, ncclDataType_t type,
                                      ncclRedOp_t, ncclComm_t communicator, cudaStream_t stream) {
  return ncclAllGather(in, out, count, type, communicator, stream);
}

#endif  // HALCYON_TESTS_WORKER_CUDA_FAKES_NCCL_H_
