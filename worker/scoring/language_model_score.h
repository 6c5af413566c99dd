// Quality of a language model on held-out text. The functions are collective: each rank scores its
// share of the windows and all return the same figures. Nothing here touches the state of training.
#ifndef HALCYON_WORKER_SCORING_LANGUAGE_MODEL_SCORE_H_
#define HALCYON_WORKER_SCORING_LANGUAGE_MODEL_SCORE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/status.h"
#include "cluster/collectives.h"
#include "model/autoencoder.h"
#include "model/baseline_model.h"
#include "model/brier.h"
#include "model/calm_model.h"
#include "pipeline/samples/window_loader.h"

namespace halcyon::worker {

// Held-out windows, by their numbers.
struct WindowRange {
  uint64_t begin = 0, count = 0;
};

struct LanguageModelOptions {
  int64_t windows = 0;  // evenly spaced over the held-out ones; all when there are fewer
  std::optional<WindowRange> range = std::nullopt;  // of these alone; count >= 1
  int64_t samples = 8;  // draws a position; with the protocol of two samples always two
  int64_t bootstrap = 1000;
  uint64_t seed = 0;
  model::BrierProtocol protocol = model::BrierProtocol::kPairwise;
  // Of windows that come without latents, as the model was trained on.
  jobs::LatentFormat latent_format = jobs::LatentFormat::kFloat16;
};

struct LanguageModelScore {
  double loss = 0;                      // the head's own, mean over what it predicts
  std::map<std::string, double> terms;  // its parts, by name; with a softmax "cross_entropy"
  model::BrierAccumulator::Score brier;
  uint64_t windows = 0;
  uint64_t token_context = 0;  // tokens a window: scores of other contexts do not compare
};

// Why nothing can be scored: the held-out text fills no window, or a window holds no n-gram of four
// tokens after a chunk. "" when a score can be had.
std::string WhyNoScore(const pipeline::WindowLoader& windows);

// N-grams start where chunks do, from the second chunk of a window on, and end in the window. The
// autoencoder encodes the windows when they come without latents.
// kInvalidArgument when the held-out text fills no window, or a window holds no such n-gram.
absl::StatusOr<LanguageModelScore> ScoreLanguageModel(model::CalmModel& model,
                                                      model::Autoencoder& autoencoder,
                                                      const pipeline::WindowLoader& windows,
                                                      const LanguageModelOptions& options,
                                                      cluster::Collectives& collectives);

// The softmax baseline at the same places of the same windows. Its loss is the cross-entropy of
// training, over every next token; the term "cross_entropy" is that of the tokens after the first
// chunk which are no padding, in nats.
//
// Accuracies are exact: products of the probabilities of the true tokens. So is the collision of
// single tokens. Longer ones, sum_x P(x)^2, are estimated along one drawn path, without bias:
//   kPairwise    the path takes token x with probability P(x)^2 / C, where C = sum_x P(x)^2; the
//                product of the C it meets has the collision as its mean, and varies only as much
//                as C does
//   kTwoSamples  two tokens are drawn at a time; [they were always equal] * C of the last one
absl::StatusOr<LanguageModelScore> ScoreBaseline(model::BaselineModel& model,
                                                 const pipeline::WindowLoader& windows,
                                                 const LanguageModelOptions& options,
                                                 cluster::Collectives& collectives);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_SCORING_LANGUAGE_MODEL_SCORE_H_
