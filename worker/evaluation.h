// Quality on held-out text. Functions that take Collectives are collective: each rank measures its
// share and all return the same figures. Nothing here touches the state of training.
#ifndef HALCYON_WORKER_EVALUATION_H_
#define HALCYON_WORKER_EVALUATION_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "cluster/collectives.h"
#include "model/autoencoder.h"
#include "model/baseline_model.h"
#include "model/brier.h"
#include "model/calm_model.h"
#include "pipeline/packing.h"
#include "pipeline/window_loader.h"

namespace halcyon::worker {

struct LanguageModelOptions {
  int64_t windows = 0;  // evenly spaced over the held-out ones; all when there are fewer
  int64_t samples = 8;  // draws a position
  int64_t bootstrap = 1000;
  uint64_t seed = 0;
};
struct LanguageModelScore {
  double loss = 0;                      // the head's own, mean over positions
  std::map<std::string, double> terms;  // its parts, by name
  model::BrierAccumulator::Score brier;
  uint64_t windows = 0;
  uint64_t token_context = 0;  // tokens a window: scores of other contexts do not compare
};
// kInvalidArgument when the held-out split has no window at all.
absl::StatusOr<LanguageModelScore> ScoreLanguageModel(model::CalmModel& model,
                                                      model::Autoencoder& autoencoder,
                                                      const pipeline::WindowLoader& windows,
                                                      const LanguageModelOptions& options,
                                                      cluster::Collectives& collectives);

// The softmax baseline on the same windows; its loss is the cross-entropy a token, in nats.
absl::StatusOr<LanguageModelScore> ScoreBaseline(model::BaselineModel& model,
                                                 const pipeline::WindowLoader& windows,
                                                 const LanguageModelOptions& options,
                                                 cluster::Collectives& collectives);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_EVALUATION_H_
