// Sampling at a temperature from a black-box sampler (paper section 5, Algorithm 2).
#ifndef HALCYON_MODEL_TEMPERATURE_H_
#define HALCYON_MODEL_TEMPERATURE_H_

#include <cstdint>
#include <span>

#include "base/philox.h"
#include "base/status.h"

namespace halcyon::model {

// 1/temperature when that is a whole number of at least 1; kInvalidArgument names the nearest
// temperatures that are.
absl::StatusOr<int64_t> InverseTemperature(double temperature);

// Batch approximation for T = 1/n. `draws`: [count, K] ids drawn independently. Counts equal rows;
// for m = n ... 1 the candidates are rows seen at least m times, weighted C(count, m); the first
// non-empty set decides. Returns the index of a row of the chosen value; uses number `index` of the
// stream. Biased at a finite number of draws, exact as it grows (Theorem 3).
int64_t ChooseAtTemperature(std::span<const int64_t> draws, int64_t chunk_size, int64_t inverse,
                            const PhiloxStream& stream, uint64_t index);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_TEMPERATURE_H_
