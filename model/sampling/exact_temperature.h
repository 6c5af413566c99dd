// Algorithm 1 (paper section 5.1): an exact choice at any temperature in (0, 1].
#ifndef HALCYON_MODEL_SAMPLING_EXACT_TEMPERATURE_H_
#define HALCYON_MODEL_SAMPLING_EXACT_TEMPERATURE_H_

#include <cstdint>

#include "model/sampling/temperature.h"

namespace halcyon::model {

// With n = floor(1/T) and a = 1/T - n:
//   1. n draws in a row must be equal, or start again; x is their value. a = 0: choose x.
//   2. for i = 1, 2, ...: draw; if it is x, choose x; else start again with probability a/i.
// Draws are taken in order and no draw is used twice.
//
// Step 1 starts again at the first draw that differs, without taking the rest of the n: what is
// left of them is independent of everything so far, so it may as well begin the next attempt. The
// choice keeps its distribution; with S(j) = sum of P(x)^j and Z = sum of P(x)^(1/T) the expected
// number of draws is
//   (1 + S(1) + ... + S(n-1) + [a > 0] * sum of P(x)^(1/T - 1)) / Z,
// where Theorem 2, with whole attempts, has n for 1 + S(1) + ... + S(n-1): equal for n <= 2, fewer
// draws for n > 2.
class ExactChooser : public Chooser {
 public:
  ExactChooser(double inverse, int64_t draws_max, const PhiloxStream& random);
  std::optional<Choice> Advance(const Draws& draws, bool no_more, Needs* needs) override;

 private:
  void Restart();
  void LookAhead(const Draws& draws, int64_t draws_end, Needs* needs);

  double inverse_;
  int64_t run_needed_;  // n
  double fraction_;     // a
  int64_t draws_max_;
  PhiloxStream random_;

  int64_t next_ = 0;   // the next draw to take
  int64_t first_ = 0;  // of this attempt
  int64_t run_ = 0;    // draws found equal in step 1
  int64_t turn_ = 1;   // i of step 2
  uint64_t numbers_used_ = 0;
  int64_t draws_ahead_;
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_SAMPLING_EXACT_TEMPERATURE_H_
