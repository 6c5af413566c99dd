// A language model of the real layers, small enough to train in each way of sharding, and the same
// training in float64 in one process without any sharding.
#ifndef HALCYON_TESTS_WORKER_FSDP_SMALL_TRANSFORMER_H_
#define HALCYON_TESTS_WORKER_FSDP_SMALL_TRANSFORMER_H_

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cluster/collectives.h"
#include "model/backbone.h"
#include "model/layers.h"
#include "tests/worker/fsdp/gang_setup.h"
#include "worker/fsdp/fsdp.h"
#include "worker/training/batch_plan.h"

namespace halcyon::worker {

class SmallTransformer {
 public:
  // `frozen`: names of units and of single parameters.
  explicit SmallTransformer(const std::set<std::string>& frozen);
  // "input", "block.0" to "block.2", "head".
  std::vector<model::Unit*> units();
  // The batch's part of the mean cross-entropy; in the type of the parameters, float32 for
  // bfloat16. `at_input` is told in backward when the gradient of the first unit's output is there.
  at::Tensor LossOf(const MicroBatch& batch, BackwardListener* at_input = nullptr);

 private:
  model::Unit input_{"input"};
  model::Parameter& table_;
  model::Backbone backbone_;
  model::Unit head_{"head"};
  model::RmsNorm norm_;
  model::Parameter& output_;
};

// By a parameter's name, flat, float64.
using NamedArrays = std::map<std::string, at::Tensor>;
struct TrainedNetwork {
  NamedArrays gradients;  // of the last step, of what trains
  NamedArrays values;     // after the steps
};

TrainedNetwork TrainInFloat64(const std::set<std::string>& frozen, uint64_t steps);

// Every rank calls `at_end` after its steps, one at a time.
using AtEnd = std::function<void(Fsdp&)>;
TrainedNetwork TrainSharded(const GangSetup& setup, const std::set<std::string>& frozen,
                            uint64_t steps, const AtEnd& at_end = nullptr);

// Steps of one rank, with clipping.
void TrainRank(Fsdp& fsdp, SmallTransformer& network, const GangSetup& setup,
               cluster::Collectives& collectives, uint64_t steps);
// One step of this rank, in the passes that the setup asks for; the update is left out.
absl::Status AccumulateStep(Fsdp& fsdp, SmallTransformer& network, const GangSetup& setup, int rank,
                            uint64_t step, BackwardListener* at_input = nullptr);
void InitialiseSmall(Fsdp& fsdp);

// The size of the difference of all arrays together, by the size of `expected` less `origin`.
double RelativeError(const NamedArrays& found, const NamedArrays& expected,
                     const NamedArrays& origin = {});

}  // namespace halcyon::worker

#endif  // HALCYON_TESTS_WORKER_FSDP_SMALL_TRANSFORMER_H_
