#include "model/temperature.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"

namespace halcyon::model {
namespace {

// 0.333 is meant to be a third.
constexpr double kRelativeTolerance = 2e-3;

struct Candidate {
  int64_t row = 0;  // where the value first occurs
  int64_t count = 0;
};

// The distinct rows in the order of their first occurrence.
std::vector<Candidate> CountRows(std::span<const int64_t> draws, int64_t chunk_size) {
  const auto less = [&](int64_t a, int64_t b) {
    const int64_t* first = draws.data() + a * chunk_size;
    const int64_t* second = draws.data() + b * chunk_size;
    return std::lexicographical_compare(first, first + chunk_size, second, second + chunk_size);
  };
  std::map<int64_t, size_t, decltype(less)> places(less);
  std::vector<Candidate> candidates;
  const int64_t rows = static_cast<int64_t>(draws.size()) / chunk_size;
  for (int64_t row = 0; row < rows; ++row) {
    const auto [place, is_new] = places.try_emplace(row, candidates.size());
    if (is_new) candidates.push_back({row, 0});
    ++candidates[place->second].count;
  }
  return candidates;
}

// C(count, size); 0 when size > count.
double Choose(int64_t count, int64_t size) {
  double ways = 1;
  for (int64_t i = 0; i < size; ++i) {
    ways *= static_cast<double>(count - i) / static_cast<double>(i + 1);
  }
  return ways;
}

}  // namespace

absl::StatusOr<int64_t> InverseTemperature(double temperature) {
  if (!(temperature > 0 && temperature <= 1)) {
    return InvalidArgument(
        fmt::format("temperature {} is not in (0, 1]; use 1, 0.5, 0.25, ...", temperature));
  }
  const double inverse = 1 / temperature;
  const double whole = std::round(inverse);
  if (std::abs(inverse - whole) > kRelativeTolerance * whole) {
    const double below = std::floor(inverse);
    return InvalidArgument(fmt::format(
        "temperature {} is not 1/n for a whole n; the nearest that are: {:.4g} (1/{:.0f}) and "
        "{:.4g} (1/{:.0f})",
        temperature, 1 / below, below, 1 / (below + 1), below + 1));
  }
  return static_cast<int64_t>(whole);
}

int64_t ChooseAtTemperature(std::span<const int64_t> draws, int64_t chunk_size, int64_t inverse,
                            const PhiloxStream& stream, uint64_t index) {
  HALCYON_CHECK(chunk_size >= 1 && !draws.empty() && draws.size() % chunk_size == 0);
  HALCYON_CHECK(inverse >= 1);
  const std::vector<Candidate> candidates = CountRows(draws, chunk_size);
  int64_t most = 0;
  for (const Candidate& candidate : candidates) most = std::max(most, candidate.count);
  const int64_t needed = std::min(inverse, most);

  double total = 0;
  for (const Candidate& candidate : candidates) total += Choose(candidate.count, needed);
  double left = stream.Uniform(index) * total;
  int64_t chosen = -1;
  for (const Candidate& candidate : candidates) {
    const double weight = Choose(candidate.count, needed);
    if (weight == 0) continue;
    chosen = candidate.row;
    left -= weight;
    if (left < 0) break;
  }
  return chosen;
}

}  // namespace halcyon::model
