#include "coordinator/display/pace.h"

#include <algorithm>
#include <cmath>

namespace halcyon::coordinator {
namespace {

constexpr int64_t kTimeMin = 1000;  // of progress, before a pace is given
constexpr double kMemoryMsMin = 30'000, kMemoryMsMax = 600'000;
constexpr double kMemoryShare = 0.2;  // of the time since the start
constexpr int64_t kOverdueFactor = 3;

}  // namespace

void PaceMeter::Start(int64_t now_ms, double fraction) {
  *this = PaceMeter();
  started_ = true;
  start_ms_ = last_ms_ = now_ms;
  fraction_ = fraction;
}

void PaceMeter::Add(int64_t now_ms, double fraction) {
  if (!started_ || fraction < fraction_) return Start(now_ms, fraction);
  if (fraction == fraction_) return;
  last_interval_ms_ = now_ms - last_ms_;
  const double memory_ms = std::clamp(static_cast<double>(now_ms - start_ms_) * kMemoryShare,
                                      kMemoryMsMin, kMemoryMsMax);
  const double kept = std::exp(-static_cast<double>(last_interval_ms_) / memory_ms);
  weighted_fraction_ = weighted_fraction_ * kept + (fraction - fraction_);
  weighted_ms_ = weighted_ms_ * kept + static_cast<double>(last_interval_ms_);
  fraction_ = fraction;
  last_ms_ = now_ms;
}

double PaceMeter::PerSecond(int64_t now_ms) const {
  if (weighted_fraction_ <= 0 || last_ms_ - start_ms_ < kTimeMin) return 0;
  // Between two steps nothing is known: only when the next is overdue does the wait count.
  const int64_t waiting_ms = now_ms - last_ms_;
  const double overdue_ms =
      static_cast<double>(std::max<int64_t>(0, waiting_ms - kOverdueFactor * last_interval_ms_));
  return 1000 * weighted_fraction_ / (weighted_ms_ + overdue_ms);
}

}  // namespace halcyon::coordinator
