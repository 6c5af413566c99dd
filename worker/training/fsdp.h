// Fully sharded data parallelism: each rank keeps 1/size of every unit's parameters, gradients and
// optimizer state; a unit is whole only while it is used.
//
// Life of a unit in one micro-batch:
//   forward:  BeforeForward all-gathers the flat parameter array; AfterForward frees it again;
//   backward: the gate that AfterForward put behind the unit's output all-gathers it once more;
//   when
//             every parameter has its gradient, the gradients are reduce-scattered into the shard,
//             the whole arrays freed.
// Collectives run on the caller's thread, inside autograd's traversal, in an order that is the same
// on every rank because every rank runs the same graph.
#ifndef HALCYON_WORKER_TRAINING_FSDP_H_
#define HALCYON_WORKER_TRAINING_FSDP_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "cluster/collectives.h"
#include "jobs/job_spec.h"
#include "model/unit.h"
#include "storage/checkpoint.h"

namespace halcyon::worker {

// This rank's part of one unit's flat array. All four have the same length.
struct UnitShard {
  std::string unit;
  uint64_t first = 0;  // of the flat array, in elements
  std::vector<float> value, gradient, exp_avg, exp_avg_sq;
  std::vector<uint8_t> decays;  // 1 where weight decay applies; 0 in the padding
};

// Not thread-safe. Neither units nor collectives are owned; both outlive it.
class Fsdp {
 public:
  Fsdp(std::vector<model::Unit*> units, cluster::Collectives* collectives);
  ~Fsdp();
  Fsdp(const Fsdp&) = delete;
  Fsdp& operator=(const Fsdp&) = delete;

  std::vector<UnitShard*> shards();
  // Parameters and their places in the flat arrays, for checkpoints.
  std::vector<storage::UnitLayout> Layouts() const;
  int64_t parameters() const;

  // Draws this rank's elements; zeroes the optimizer state.
  void Initialise(jobs::InitRule rule, double init_std, uint64_t seed);

  void ZeroGradients();
  // Call after each backward: reduces what is left and reports a failed collective.
  absl::Status FinishBackward();
  // Sum of squares of this rank's gradient elements.
  double LocalGradientSquares() const;
  // AdamW on this rank's elements.
  void OptimizerStep(const jobs::TrainSpec& train, uint64_t step, double gradient_scale);

  // Gathers one unit after the other and shows it whole to `visit`, on every rank.
  absl::Status VisitWhole(const std::function<absl::Status(model::Unit&)>& visit);

 private:
  class ShardedUnit;
  std::vector<std::unique_ptr<ShardedUnit>> units_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_FSDP_H_
