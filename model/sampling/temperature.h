// Sampling at a temperature from a black-box sampler (paper section 5): from independent draws of
// P, one value of the distribution P(x)^(1/T) / Z.
#ifndef HALCYON_MODEL_SAMPLING_TEMPERATURE_H_
#define HALCYON_MODEL_SAMPLING_TEMPERATURE_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "base/philox.h"
#include "base/status.h"
#include "model/sampling/draws.h"

namespace halcyon::model {

enum class TemperatureAlgorithm {
  kExact,  // Algorithm 1: any T in (0, 1], as many draws as it takes
  kBatch,  // Algorithm 2: T = 1/n, a fixed number of draws; exact as that number grows
};

struct TemperatureRule {
  double temperature = 1;
  TemperatureAlgorithm algorithm = TemperatureAlgorithm::kBatch;
  int64_t draws = 200;       // N of the batch algorithm
  int64_t draws_max = 4096;  // of the exact one, after which the batch rule decides over those made
};

// kInvalidArgument: a temperature outside (0, 1], one that is not 1/n with kBatch (names the
// nearest that are, and the exact algorithm), or no draws.
absl::Status CheckTemperature(const TemperatureRule& rule);

// Chooses one draw. Advance either returns the choice, whose tokens are then all known, or says in
// `needs` what it must know first; call it again when that is so. What it is told beyond its needs
// does not change the choice, so the caller may draw and decode in blocks of any size.
// `no_more`: there will be no more draws than there are (at least one).
class Chooser {
 public:
  struct Choice {
    int64_t draw = 0;
    int64_t draws_used = 0;  // as far as the algorithm looked
    bool ran_out = false;    // the exact algorithm met draws_max or no_more
  };
  virtual ~Chooser() = default;
  virtual std::optional<Choice> Advance(const Draws& draws, bool no_more, Needs* needs) = 0;
};

// Random numbers come from `random`, which must be independent of the draws.
// REQUIRES: CheckTemperature(rule).ok().
std::unique_ptr<Chooser> MakeChooser(const TemperatureRule& rule, const PhiloxStream& random);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_SAMPLING_TEMPERATURE_H_
