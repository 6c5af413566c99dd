#include "coordinator/metrics/curve_summary.h"

#include <algorithm>
#include <cmath>

namespace halcyon::coordinator {
namespace {

void MergeInto(CurveSummary::Point* point, const CurveSummary::Point& next) {
  point->step = next.step;
  point->sum += next.sum;
  point->low = std::min(point->low, next.low);
  point->high = std::max(point->high, next.high);
  point->values += next.values;
}

}  // namespace

void CurveSummary::Add(uint64_t step, double value) {
  if (!std::isfinite(value)) return;
  const Point point{.step = step, .sum = value, .low = value, .high = value, .values = 1};
  if (!points_.empty() && points_.back().values < values_a_point_) {
    return MergeInto(&points_.back(), point);
  }
  points_.push_back(point);
  if (points_.size() <= points_max_) return;
  // The newest stays alone when the number is odd, and takes more values.
  values_a_point_ *= 2;
  size_t kept = 0;
  for (size_t i = 0; i < points_.size(); i += 2) {
    Point merged = points_[i];
    if (i + 1 < points_.size()) MergeInto(&merged, points_[i + 1]);
    points_[kept++] = merged;
  }
  points_.resize(kept);
}

}  // namespace halcyon::coordinator
