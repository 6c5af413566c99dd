// Counts the bytes that ATen's CPU tensors hold.
#ifndef HALCYON_BENCH_ALLOCATION_METER_H_
#define HALCYON_BENCH_ALLOCATION_METER_H_

#include <cstdint>
#include <functional>

namespace halcyon::bench {

// The most that tensors held at once of what they allocated within `work`, on this thread.
int64_t PeakBytes(const std::function<void()>& work);

}  // namespace halcyon::bench

#endif  // HALCYON_BENCH_ALLOCATION_METER_H_
