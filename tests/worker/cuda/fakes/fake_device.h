// A device of two streams in this process, behind the few functions of CUDA and NCCL that
// nccl_collectives.cc calls: the headers beside this one take the place of the real ones. A stream
// runs what was put on it, in order, whenever somebody asks for an event; a test can hold one.
#ifndef HALCYON_TESTS_WORKER_CUDA_FAKES_FAKE_DEVICE_H_
#define HALCYON_TESTS_WORKER_CUDA_FAKES_FAKE_DEVICE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>

// As in CUDA, an event stands for its last record.
struct CUevent_st {
  uint64_t recorded = 0, reached = 0;
};

struct CUstream_st {
  bool held = false;
  std::deque<std::function<bool()>> work;  // each: whether it could be done

  void Run() {
    while (!held && !work.empty() && work.front()()) work.pop_front();
  }
};

namespace halcyon::fake {

struct Device {
  std::recursive_mutex mutex;
  CUstream_st compute, communication;
  int nccl_fault = 0;         // what ncclCommGetAsyncError finds
  bool nccl_refuses = false;  // collectives fail where they are started
  int aborted = 0, destroyed = 0;

  void Run() {
    for (int round = 0; round < 3; ++round) compute.Run(), communication.Run();
  }
};

inline Device& TheDevice() {
  static Device device;
  return device;
}

}  // namespace halcyon::fake

#endif  // HALCYON_TESTS_WORKER_CUDA_FAKES_FAKE_DEVICE_H_
