// Opens the plugin that was built beside the tests.
#ifndef HALCYON_TESTS_WORKER_CUDA_PLUGIN_H_
#define HALCYON_TESTS_WORKER_CUDA_PLUGIN_H_

#include <dlfcn.h>

#include <cstdio>

#include "worker/cuda/cuda_kernels.h"

namespace halcyon::worker {

// nullptr, with the reason on stderr, when it cannot be opened. It stays open.
inline const CudaKernels* OpenPlugin() {
  void* library = dlopen(HALCYON_CUDA_PLUGIN, RTLD_NOW | RTLD_LOCAL);
  void* symbol = library == nullptr ? nullptr : dlsym(library, kCudaKernelsSymbol);
  if (symbol == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return nullptr;
  }
  return reinterpret_cast<CudaKernelsFunction*>(symbol)();
}

}  // namespace halcyon::worker

#endif  // HALCYON_TESTS_WORKER_CUDA_PLUGIN_H_
