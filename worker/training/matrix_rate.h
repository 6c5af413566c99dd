// How fast this rank multiplies matrices: what a step's utilisation is measured by.
#ifndef HALCYON_WORKER_TRAINING_MATRIX_RATE_H_
#define HALCYON_WORKER_TRAINING_MATRIX_RATE_H_

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace halcyon::worker {

// Floating-point operations a second of products of [1024, 1024] matrices on the threads that
// LibTorch has: the best of several within a fifth of a second, so that a disturbance does not
// count. Call it on all ranks at once: they share the machine in training, too.
double MeasureMatrixRate(at::ScalarType type, c10::Device device);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_MATRIX_RATE_H_
