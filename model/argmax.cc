#include "model/argmax.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/check.h"

namespace halcyon::model {
namespace {

// A tile stays in the second-level cache between the product and the search.
constexpr int64_t kTileNumbers = 1 << 18;
constexpr int64_t kTileRowsMax = 256;
constexpr int64_t kLanes = 16;
// Rows that one thread searches at least.
constexpr int64_t kRowsPerThread = 16;

struct Best {
  float value = -std::numeric_limits<float>::infinity();
  int64_t index = 0;
};

// Largest of the numbers, or NaN when one of them is.
float MaximumOf(const float* values, int64_t count) {
  float lanes[kLanes];
  int32_t missing[kLanes] = {};
  std::fill_n(lanes, kLanes, -std::numeric_limits<float>::infinity());
  const int64_t whole = count / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) {
      lanes[j] = values[i + j] > lanes[j] ? values[i + j] : lanes[j];
      missing[j] |= values[i + j] != values[i + j];
    }
  }
  for (int64_t i = whole; i < count; ++i) {
    lanes[0] = std::max(lanes[0], values[i]);
    missing[0] |= std::isnan(values[i]);
  }
  if (std::any_of(missing, missing + kLanes, [](int32_t flag) { return flag != 0; })) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  return *std::max_element(lanes, lanes + kLanes);
}

// Takes up `count` values that follow those seen so far.
void Improve(const float* values, int64_t count, int64_t first, Best* best) {
  const float maximum = MaximumOf(values, count);
  // What was found earlier wins ties, and a NaN wins over everything after it.
  if (std::isnan(best->value) || maximum <= best->value) return;
  const auto wanted = [&](float value) {
    return std::isnan(maximum) ? std::isnan(value) : value == maximum;
  };
  best->value = maximum;
  best->index = first + (std::find_if(values, values + count, wanted) - values);
}

}  // namespace

at::Tensor BlockedArgmax(const at::Tensor& rows, const at::Tensor& table) {
  HALCYON_CHECK(rows.dim() == 2 && table.dim() == 2 && rows.size(1) == table.size(1));
  HALCYON_CHECK(table.size(0) >= 1 && rows.scalar_type() == at::kFloat &&
                table.scalar_type() == at::kFloat && rows.is_cpu() && table.is_cpu());
  const at::NoGradGuard no_grad;
  const int64_t count = rows.size(0), vocab = table.size(0);
  at::Tensor result = at::empty({count}, at::kLong);
  if (count == 0) return result;
  const int64_t tile_rows = std::min(count, kTileRowsMax);
  const int64_t tile_columns = std::min(vocab, kTileNumbers / tile_rows);
  const at::Tensor tile = at::empty({tile_rows * tile_columns}, at::kFloat);
  std::vector<Best> best(count);
  // The table's part stays in the cache while all rows meet it.
  for (int64_t column = 0; column < vocab; column += tile_columns) {
    const int64_t columns = std::min(tile_columns, vocab - column);
    const at::Tensor part = table.narrow(0, column, columns).t();
    for (int64_t row = 0; row < count; row += tile_rows) {
      const int64_t height = std::min(tile_rows, count - row);
      at::Tensor product = tile.narrow(0, 0, height * columns).view({height, columns});
      at::mm_out(product, rows.narrow(0, row, height), part);
      const float* values = product.const_data_ptr<float>();
      at::parallel_for(0, height, kRowsPerThread, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          Improve(values + r * columns, columns, column, &best[row + r]);
        }
      });
    }
  }
  for (int64_t r = 0; r < count; ++r) result.data_ptr<int64_t>()[r] = best[r].index;
  return result;
}

}  // namespace halcyon::model
