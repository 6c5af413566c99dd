// Fully sharded data parallelism: each rank keeps a shard of every unit's parameters, gradients and
// optimizer state; a unit is whole only while it is used. docs/fsdp.md shows a step in time.
//
// Life of a unit in one pass:
//   forward:  the whole parameters are all-gathered, while the unit before it computes, and freed
//             when the unit has computed;
//   backward: they are gathered once more in the same way; when every parameter has its gradient
//             they are freed, and the gradients are reduce-scattered while the next unit computes.
// The first pass records in which order units are used, later ones gather ahead by it. Every rank
// runs the same graph, so all start the same collectives in the same order.
#ifndef HALCYON_WORKER_FSDP_FSDP_H_
#define HALCYON_WORKER_FSDP_FSDP_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "base/status.h"
#include "cluster/collectives.h"
#include "jobs/job_spec.h"
#include "model/unit.h"
#include "storage/checkpoint.h"
#include "worker/fsdp/buffer_pool.h"
#include "worker/fsdp/fsdp_options.h"
#include "worker/fsdp/shard_plan.h"
#include "worker/fsdp/sharded_unit.h"
#include "worker/fsdp/unit_order.h"

namespace halcyon::worker {

// A step: BeginStep; for each micro-batch BeginPass, forward and backward, FinishPass; then, on all
// ranks, a scale for the gradients; OptimizerStep. Forward passes outside BeginPass ... FinishPass
// (evaluation) gather unit by unit without looking ahead.
//
// A parameter whose requires_grad is false when this is made is frozen: it is gathered like the
// others, and has neither gradient nor optimizer state (gathered_array.h).
//
// Not thread-safe. Neither units nor collectives are owned; both outlive it. A failed collective is
// reported by FinishPass.
class Fsdp final : private UnitOwner {
 public:
  // REQUIRES: the plan is of these collectives.
  Fsdp(const std::vector<model::Unit*>& units, cluster::Collectives* collectives,
       const ShardPlan& plan, const FsdpOptions& options);
  // Shards over all ranks, on the host, in float32.
  Fsdp(const std::vector<model::Unit*>& units, cluster::Collectives* collectives);
  ~Fsdp() override;
  Fsdp(const Fsdp&) = delete;
  Fsdp& operator=(const Fsdp&) = delete;

  // In the order of Layouts: of each unit what trains, then what is frozen.
  std::vector<UnitShard*> shards();
  const ShardPlan& plan() const { return plan_; }
  // Parameters and their places in the flat arrays, for checkpoints.
  std::vector<storage::UnitLayout> Layouts() const;
  int64_t parameters() const;

  // Draws this rank's elements; zeroes the optimizer state.
  void Initialise(jobs::InitRule rule, double init_std, uint64_t seed);
  // The shards' values were written from outside: whole copies of them are out of date.
  void ValuesChanged();

  // Gradients of the step before are forgotten.
  void BeginStep();
  // The last pass of a step reduces what earlier ones kept (jobs::Accumulate::kLocal).
  void BeginPass(bool is_last);
  // Call after each backward: waits for its reductions, reports a failed collective. After the last
  // pass the shards' gradients are complete.
  absl::Status FinishPass();

  // Sum of squares of the gradient elements that are this rank's to count: over all ranks they add
  // up to the squared norm.
  double LocalGradientSquares() const;
  // AdamW on this rank's elements.
  void OptimizerStep(const jobs::TrainSpec& train, uint64_t step, double gradient_scale);

  // Collective. Gathers the arrays of `order` (their places in Layouts(), repetitions allowed) one
  // after the other and shows each to `visit` on every rank: its place in `order` and the array,
  // [numel or more] in float32, on the rank's device, whatever type units are gathered in for use.
  // An array is freed before the next one is gathered.
  absl::Status VisitWhole(std::span<const size_t> order,
                          const std::function<void(size_t place, const at::Tensor& flat)>& visit);

 private:
  void Use(ShardedUnit& unit, bool backward) override;
  void ReportUse(ShardedUnit& unit, bool backward);
  bool StaysWhole(const ShardedUnit& unit) const override;
  bool Recomputes(const ShardedUnit& unit) override;
  void GradientsReady(ShardedUnit& unit) override;
  // Waits for the oldest reductions until at most `count` are under way.
  void FinishReductions(size_t count);

  const ShardPlan plan_;
  const FsdpOptions options_;
  BufferPool pool_;
  std::vector<std::unique_ptr<ShardedUnit>> units_;
  UnitOrder order_;
  std::deque<ShardedUnit*> reducing_;  // oldest first
  std::set<size_t> recomputed_;        // units that are recomputed in backward
  bool in_pass_ = false;
  bool is_last_pass_ = true;
  absl::Status status_;  // the first error
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_FSDP_FSDP_H_
