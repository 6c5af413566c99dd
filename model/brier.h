// BrierLM: quality of a language model from samples alone (paper section 4.2).
#ifndef HALCYON_MODEL_BRIER_H_
#define HALCYON_MODEL_BRIER_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"

namespace halcyon::model {

inline constexpr int kBrierOrders = 4;  // n-grams of 1 ... 4 tokens

// A value for each n: element n - 1.
using BrierOrders = std::array<double, kBrierOrders>;

// How a score is made of draws.
enum class BrierProtocol {
  kPairwise,    // every draw is compared with every other; each Brier-n is clipped at 0
  kTwoSamples,  // as in the paper: two draws a position; their product is clipped at 0, so that two
                // negative Brier-n cancel
};

// Scores the four tokens that follow a place in the text. For every place and n <= 4, over the
// n-gram that starts there, drawn x_1 ... x_N and true y:
//   accuracy  = mean over i of [x_i = y]                estimates P(y)
//   collision = mean over i < j of [x_i = x_j]          estimates sum_x P(x)^2
//   Brier-n   = mean over places of 2 * accuracy - collision
// which for N = 2 is the paper's [x_1 = y] + [x_2 = y] - [x_1 = x_2], and unbiased for every N.
class BrierAccumulator {
 public:
  // samples: [draws, 4] ids of one place, truth: [4] ids, `document`: the place's document,
  // for the bootstrap. A sample that was given up after n tokens, because it equals neither the
  // truth nor another sample up to there, may hold any ids after them that occur nowhere else.
  // REQUIRES: draws >= 2.
  void AddSamples(std::span<const int64_t> samples, std::span<const int64_t> truth,
                  uint64_t document);
  // A place whose accuracy and collision are known, or estimated in another unbiased way.
  void AddValues(const BrierOrders& accuracy, const BrierOrders& collision, uint64_t document);

  struct Score {
    double brier_lm = 0;                           // 100 * (B1 B2 B3 B4)^(1/4)
    double low = 0, high = 0;                      // 95 % bootstrap interval by document
    BrierOrders brier{}, accuracy{}, collision{};  // not clipped
    BrierOrders counted{};                         // `brier` as it enters the product
    uint64_t positions = 0, documents = 0;
  };
  // `resamples` bootstrap draws from Philox(seed, kBootstrap).
  Score Compute(BrierProtocol protocol, uint64_t seed, int64_t resamples) const;

  // For joining the accumulators of several ranks: a flat array, and its inverse
  // (kInvalidArgument).
  std::vector<double> Serialise() const;
  absl::Status Merge(std::span<const double> serialised);

 private:
  struct DocumentSums {
    uint64_t document = 0;
    uint64_t positions = 0;
    BrierOrders accuracy{}, collision{};
  };
  DocumentSums& SumsOf(uint64_t document);

  std::vector<DocumentSums> documents_;  // sorted by document
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_BRIER_H_
