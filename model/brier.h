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

// Scores predicted chunks. For every position and n <= min(K, 4), over the n-gram that starts the
// chunk:
//   accuracy  = mean over samples of [sample n-gram = true n-gram]
//   collision = mean over pairs of different samples of [their n-grams are equal]
//   Brier-n   = 2 * accuracy - collision       (unbiased pairwise form of the two-sample statistic)
class BrierAccumulator {
 public:
  explicit BrierAccumulator(int64_t chunk_size);

  // samples: [draws, K] ids of one position, truth: [K] ids, `document`: whom the position belongs
  // to, for the bootstrap. REQUIRES: draws >= 2.
  void Add(std::span<const int64_t> samples, std::span<const int64_t> truth, uint64_t document);

  struct Score {
    // 100 * (B1 B2 B3 B4)^(1/4), each Brier-n clipped at 0; with K < 4 the geometric mean of B1 ...
    // BK.
    double brier_lm = 0;
    double low = 0, high = 0;  // 95 % bootstrap interval by document
    std::array<double, kBrierOrders> brier{}, accuracy{}, collision{};
    uint64_t positions = 0, documents = 0;
  };
  // `resamples` bootstrap draws from Philox(seed, kBootstrap).
  Score Compute(uint64_t seed, int64_t resamples) const;

  // For joining the accumulators of several ranks: a flat array, and its inverse
  // (kInvalidArgument).
  std::vector<double> Serialise() const;
  absl::Status Merge(std::span<const double> serialised);

 private:
  struct DocumentSums {
    uint64_t document = 0;
    std::array<double, kBrierOrders> accuracy{}, collision{}, count{};
    uint64_t positions = 0;
  };
  DocumentSums& SumsOf(uint64_t document);

  int64_t chunk_size_;
  int orders_;                           // min(K, kBrierOrders)
  std::vector<DocumentSums> documents_;  // sorted by document
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_BRIER_H_
