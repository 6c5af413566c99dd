// The last step of Algorithm 2 (paper section 5.2): a choice by how often each value was drawn.
#ifndef HALCYON_MODEL_SAMPLING_COUNTED_CHOICE_H_
#define HALCYON_MODEL_SAMPLING_COUNTED_CHOICE_H_

#include <cstdint>
#include <optional>

#include "model/sampling/draws.h"

namespace halcyon::model {

// Over the first `count` draws, with c(x) the count of a value: for m = inverse, inverse - 1, ...
// > 0 the candidates are the values with c(x) > m - 1, weighted by the binomial C(c(x), m); the
// first non-empty set decides by `uniform` in [0, 1). Returns the draw where the chosen value first
// occurs, whose tokens are then all known; or nullopt, with the tokens that it must know in
// `needs`.
//
// For whole m this is the paper's rule, since c > m - 1 means c >= m. For others it is the same
// rule with Gamma functions in place of factorials: C(c, m) grows like c^m, so that the choice
// still tends to P^inverse / Z as the number of draws grows. Only values that can still reach the
// count are told apart further.
std::optional<int64_t> ChooseByCounts(const Draws& draws, int64_t count, double inverse,
                                      double uniform, Needs* needs);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_SAMPLING_COUNTED_CHOICE_H_
