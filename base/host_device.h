// Marks functions that a CUDA compiler builds for both sides and every other compiler for its own.
#ifndef HALCYON_BASE_HOST_DEVICE_H_
#define HALCYON_BASE_HOST_DEVICE_H_

#ifdef __CUDACC__
#define HALCYON_HOST_DEVICE __host__ __device__
#else
#define HALCYON_HOST_DEVICE
#endif

#endif  // HALCYON_BASE_HOST_DEVICE_H_
