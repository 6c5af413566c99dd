// The present speed of a stage, for "1.8 s/step" and "3m left". Pure.
#ifndef HALCYON_COORDINATOR_DISPLAY_PACE_H_
#define HALCYON_COORDINATOR_DISPLAY_PACE_H_

#include <cstdint>

namespace halcyon::coordinator {

// A mean of the speed in which recent progress weighs most, so that a long evaluation or a slow
// start does not distort the estimate for hours. The time over which it is taken grows with the
// time that the stage has run, from half a minute to ten minutes. A value.
class PaceMeter {
 public:
  // Time and fraction from which the pace counts: the start, or where an earlier run had come to.
  void Start(int64_t now_ms, double fraction);
  // `fraction` done at `now_ms`. Less than before starts anew: the stage went back.
  void Add(int64_t now_ms, double fraction);

  // Fraction of the whole in a second; 0 while it is not known. Falls when no progress comes for
  // much longer than usual.
  double PerSecond(int64_t now_ms) const;

 private:
  bool started_ = false;
  int64_t start_ms_ = 0;
  int64_t last_ms_ = 0;  // of the last progress
  int64_t last_interval_ms_ = 0;
  double fraction_ = 0;
  double weighted_fraction_ = 0, weighted_ms_ = 0;  // their ratio is the pace
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_DISPLAY_PACE_H_
