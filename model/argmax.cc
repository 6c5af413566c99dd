#include "model/argmax.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/check.h"
#include "model/argmax_lanes.h"
#include "model/kernels/device_kernels.h"

namespace halcyon::model {
namespace {

// Rows that are multiplied with a part of the table while it is in the second-level cache, and that
// part.
constexpr int64_t kRowBlock = 128;
constexpr int64_t kTableBlock = 48;
// The least entries of the table for which a thread is started.
constexpr int64_t kEntriesPerThread = 512;

// What comes later must be larger, and a NaN is larger than all that came before.
void Merge(const ArgmaxGroup& later, ArgmaxGroup* best) {
  for (int64_t r = 0; r < kArgmaxRows; ++r) {
    const bool wins = later.value[r] > best->value[r] ||
                      (std::isnan(later.value[r]) && !std::isnan(best->value[r]));
    if (!wins) continue;
    best->value[r] = later.value[r];
    best->index[r] = later.index[r];
  }
}

// All rows against the entries from `begin` to `end`.
std::vector<ArgmaxGroup> Search(const at::Tensor& rows, const at::Tensor& table, int64_t begin,
                                int64_t end) {
  const int64_t count = rows.size(0), width = rows.size(1);
  std::vector<ArgmaxGroup> best((count + kArgmaxRows - 1) / kArgmaxRows);
  for (int64_t block = 0; block < count; block += kRowBlock) {
    const int64_t block_end = std::min(count, block + kRowBlock);
    for (int64_t first = begin; first < end; first += kTableBlock) {
      const ArgmaxEntries entries{table.const_data_ptr<float>() + first * width, first,
                                  std::min(kTableBlock, end - first), width};
      for (int64_t row = block; row < block_end; row += kArgmaxRows) {
        const float* group[kArgmaxRows];
        for (int64_t r = 0; r < kArgmaxRows; ++r) {
          group[r] = rows.const_data_ptr<float>() + std::min(row + r, count - 1) * width;
        }
        ImproveArgmax(group, entries, &best[row / kArgmaxRows]);
      }
    }
  }
  return best;
}

}  // namespace

at::Tensor BlockedArgmax(const at::Tensor& rows, const at::Tensor& table) {
  HALCYON_CHECK(rows.dim() == 2 && table.dim() == 2 && rows.size(1) == table.size(1));
  HALCYON_CHECK(table.size(0) >= 1 && table.size(0) <= std::numeric_limits<int32_t>::max());
  HALCYON_CHECK(rows.scalar_type() == at::kFloat && rows.device() == table.device());
  const c10::NoGradGuard no_grad;
  return KernelsFor(rows.device()).Argmax(rows.contiguous(), table.to(at::kFloat).contiguous());
}

at::Tensor ArgmaxOnCpu(const at::Tensor& rows, const at::Tensor& table) {
  HALCYON_CHECK(rows.is_contiguous() && table.is_contiguous());
  const int64_t count = rows.size(0), vocab = table.size(0);
  at::Tensor result = at::empty({count}, at::kLong);
  if (count == 0) return result;
  const int64_t parts = std::clamp<int64_t>(vocab / kEntriesPerThread, 1, at::get_num_threads());
  std::vector<std::vector<ArgmaxGroup>> best(parts);
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      best[p] = Search(rows, table, p * vocab / parts, (p + 1) * vocab / parts);
    }
  });
  for (int64_t p = 1; p < parts; ++p) {
    for (size_t g = 0; g < best[0].size(); ++g) Merge(best[p][g], &best[0][g]);
  }
  for (int64_t r = 0; r < count; ++r) {
    result.data_ptr<int64_t>()[r] = best[0][r / kArgmaxRows].index[r % kArgmaxRows];
  }
  return result;
}

}  // namespace halcyon::model
