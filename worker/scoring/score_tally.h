// Divides the windows of a score among ranks and adds up their figures, for CALM and for the
// baseline.
#ifndef HALCYON_WORKER_SCORING_SCORE_TALLY_H_
#define HALCYON_WORKER_SCORING_SCORE_TALLY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "worker/scoring/language_model_score.h"

namespace halcyon::worker {

struct ScoreTally {
  struct Mean {
    double sum = 0, count = 0;
  };
  model::BrierAccumulator brier;
  std::map<std::string, Mean> means;  // "loss" and its terms: the same names in every window
};

// Adds one window's figures to a tally of its own.
using ScoreWindow = std::function<absl::StatusOr<ScoreTally>(uint64_t window)>;

// Collective. `chunk_size` K of the windows. A rank with fewer windows than others scores one again
// and leaves it out, so that it calls the network as often as they do.
absl::StatusOr<LanguageModelScore> ScoreWindows(const pipeline::WindowLoader& windows,
                                                int64_t chunk_size,
                                                const LanguageModelOptions& options,
                                                cluster::Collectives& collectives,
                                                const ScoreWindow& score_window);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_SCORING_SCORE_TALLY_H_
