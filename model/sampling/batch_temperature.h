// Algorithm 2 (paper section 5.2): a choice at T = 1/n among N draws.
#ifndef HALCYON_MODEL_SAMPLING_BATCH_TEMPERATURE_H_
#define HALCYON_MODEL_SAMPLING_BATCH_TEMPERATURE_H_

#include <cstdint>
#include <vector>

#include "model/sampling/temperature.h"

namespace halcyon::model {

// The rule: with c(x) the count of value x among N draws, for m = n ... 1 the candidates are the
// values with c(x) >= m, weighted by C(c(x), m); the first non-empty set decides. Biased at finite
// N, exact as N grows (Theorem 3).
//
// Early stopping. C(c(x), n) is the number of n-subsets of the draws whose members all equal x, so
// the rule for m = n picks a uniformly random one among the subsets of equal draws. Hence: try N
// random subsets one after another; the first whose members are equal is such a pick. When none is,
// count. Given the draws, a hit has the very distribution of the rule whatever trial it is, and
// counting has it too, so the mixture has it. Trials look at few draws when values repeat often.
//
// Which draws a subset means: its members are labels 1 ... N, and a label stands for the next
// unused draw when it first appears. The labels of all trials are drawn without regard to the
// draws, so this only permutes independent draws: N draws need not be made before the first trial.
class BatchChooser : public Chooser {
 public:
  BatchChooser(int64_t inverse, int64_t draws, const PhiloxStream& random);
  std::optional<Choice> Advance(const Draws& draws, bool no_more, Needs* needs) override;

 private:
  // The members of trial `trial`, as draws in ascending order. Trials come in order.
  const std::vector<int64_t>& Trial(int64_t trial);
  void LookAhead(const Draws& draws, Needs* needs);

  int64_t inverse_, draws_max_;
  PhiloxStream random_;
  std::vector<int64_t> draw_of_label_;
  int64_t labels_used_ = 0;
  std::vector<std::vector<int64_t>> trials_;
  int64_t trial_ = 0;
  // The first look ahead: where values repeat often, one pass over the networks then decides.
  static constexpr int64_t kTrialsWhole = 4;
  int64_t trials_ahead_ = kTrialsWhole;
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_SAMPLING_BATCH_TEMPERATURE_H_
