// The CPU's argmax over a table for a few rows at a time: products that are compared where they are
// made and never stored.
#ifndef HALCYON_MODEL_ARGMAX_LANES_H_
#define HALCYON_MODEL_ARGMAX_LANES_H_

#include <cstdint>
#include <limits>

namespace halcyon::model {

inline constexpr int64_t kArgmaxRows = 4;

// The best entry so far of each of a group of rows.
struct ArgmaxGroup {
  float value[kArgmaxRows] = {
      -std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
      -std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()};
  int32_t index[kArgmaxRows] = {};
};

// Entries `first` ... `first + count - 1` of a table, row-major at `values`.
struct ArgmaxEntries {
  const float* values;
  int64_t first, count, width;
};

// Takes up these entries, which follow those seen so far: a larger product wins, a NaN wins over
// all that is none. A product is one sum in one order, so it does not depend on the other rows and
// entries of the call.
void ImproveArgmax(const float* const (&rows)[kArgmaxRows], const ArgmaxEntries& entries,
                   ArgmaxGroup* best);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_ARGMAX_LANES_H_
