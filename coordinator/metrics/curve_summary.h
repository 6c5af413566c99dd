// A curve over steps in bounded memory: each point stands for a range of steps, with the mean, the
// least and the greatest value in it. Pure.
#ifndef HALCYON_COORDINATOR_METRICS_CURVE_SUMMARY_H_
#define HALCYON_COORDINATOR_METRICS_CURVE_SUMMARY_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace halcyon::coordinator {

class CurveSummary {
 public:
  struct Point {
    uint64_t step = 0;  // the last of its range
    double sum = 0, low = 0, high = 0;
    uint64_t values = 0;
    double mean() const { return sum / static_cast<double>(values); }
  };

  // `points_max` >= 2: with more, each two neighbours become one.
  explicit CurveSummary(size_t points_max) : points_max_(points_max) {}

  // REQUIRES: `step` is above those before. A value that is not finite is left out.
  void Add(uint64_t step, double value);
  const std::vector<Point>& points() const { return points_; }

 private:
  size_t points_max_;
  uint64_t values_a_point_ = 1;
  std::vector<Point> points_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_METRICS_CURVE_SUMMARY_H_
