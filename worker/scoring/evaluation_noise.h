// The purposes that evaluation draws random numbers for.
#ifndef HALCYON_WORKER_SCORING_EVALUATION_NOISE_H_
#define HALCYON_WORKER_SCORING_EVALUATION_NOISE_H_

#include <cstdint>

namespace halcyon::worker {

// NoiseStream::kEvaluation has no training steps: the step of its key says what a number is for.
// The values are part of the reproducibility promise: append only.
enum EvaluationNoise : uint64_t {
  kScoreDraws = 0,     // draws at held-out text; row: window
  kPromptPlaces = 1,   // where continuations start
  kFixedStdNoise = 2,  // reconstruction under noise of a given std; row: chunk
  kPosteriorNoise = 3,
  kHeldoutLoss = 4,  // the head's own loss; row: window
  kRollOut = 8,      // draws that follow draws: 9 for the second chunk, 10 for the third ...
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_SCORING_EVALUATION_NOISE_H_
