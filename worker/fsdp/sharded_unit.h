// One unit of a sharded network: when its parameters are whole, and the way of its gradients into
// the shard. Parameters that train are one flat array, frozen ones another, which has no gradient
// and no optimizer state and takes part in no reduction.
#ifndef HALCYON_WORKER_FSDP_SHARDED_UNIT_H_
#define HALCYON_WORKER_FSDP_SHARDED_UNIT_H_

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "base/status.h"
#include "cluster/collectives.h"
#include "model/unit.h"
#include "worker/fsdp/backward_hooks.h"
#include "worker/fsdp/buffer_pool.h"
#include "worker/fsdp/fsdp_options.h"
#include "worker/fsdp/gathered_array.h"
#include "worker/fsdp/shard_plan.h"

namespace halcyon::worker {

class ShardedUnit;

// What units ask of those who own them.
class UnitOwner {
 public:
  virtual ~UnitOwner() = default;
  // The unit is about to compute: gathers it, and starts to gather the one after it.
  virtual void Use(ShardedUnit& unit, bool backward) = 0;
  // Whether the unit's parameters stay whole after its forward pass.
  virtual bool StaysWhole(const ShardedUnit& unit) const = 0;
  // Whether the unit, which runs as a function of one input, is recomputed in backward.
  virtual bool Recomputes(const ShardedUnit& unit) = 0;
  // All gradients of the unit's pass are there.
  virtual void GradientsReady(ShardedUnit& unit) = 0;
};

// Not thread-safe. Borrows all it is given.
class ShardedUnit final : public model::UnitHooks, public BackwardListener {
 public:
  ShardedUnit(model::Unit* unit, size_t index, const ShardPlan& plan, const FsdpOptions& options,
              cluster::Collectives* collectives, BufferPool* pool, UnitOwner* owner);
  ~ShardedUnit() override;
  ShardedUnit(const ShardedUnit&) = delete;
  ShardedUnit& operator=(const ShardedUnit&) = delete;

  void BeforeForward(model::Unit& unit) override;
  at::Tensor AfterForward(model::Unit& unit, const at::Tensor& output) override;
  at::Tensor Run(model::Unit& unit, const at::Tensor& input,
                 const model::UnitFunction& function) override;
  void BeforeBackward() override;
  void GradientAccumulated() override;

  // Whole parameters: StartGather does nothing when they are there or on their way. For backward
  // frozen ones are gathered only where a node of the graph needs them.
  void StartGather(bool backward);
  absl::Status FinishGather(bool backward);
  void Free();
  // After the optimizer's step, or when all gradients are there.
  void FreeTrained();
  // In backward: frees frozen parameters that no node of the graph needs any more.
  void FreeUnneeded();

  // The step begins: what the gradient holds counts no more.
  void BeginStep() { gradient_is_fresh_ = true; }
  // Reports gradients as ready when parameters outside the graph have kept them waiting.
  void FinishBackward();
  // Adds the pass's gradients to those that wait for a later pass of the step.
  void KeepGradients();
  // Starts the sum over ranks of the pass's gradients and of those kept. One at a time.
  void StartReduction();
  absl::Status FinishReduction();
  // Starts to bring the reduced slices of all replicas together; nothing where there is one.
  cluster::Pending GatherReplicas();
  // Zeroes the slice's gradient when no pass of the step has reached the unit.
  void SettleGradient();
  // REQUIRES: trains(). The sum over ranks, of the slice alone. Equal to its part of the shard's
  // gradient.
  const at::Tensor& slice_gradient() const { return slice_gradient_; }

  size_t index() const { return index_; }
  model::Unit& unit() { return *unit_; }
  bool trains() const { return trained_ != nullptr; }
  // REQUIRES: trains().
  const UnitShard& trained() const { return trained_->shard(); }
  // Of the parameters that train, then of the frozen ones, as far as there are such.
  std::vector<GatheredArray*> arrays();

 private:
  bool NeedsFrozen() const;
  void ExpectGradients();
  // `flat` = or += the parameters' gradients, which are then dropped.
  void TakeGradients(const at::Tensor& flat, bool adds);

  model::Unit* const unit_;
  const size_t index_;
  const ShardPlan plan_;
  const FsdpOptions options_;
  cluster::Collectives* const collectives_;
  BufferPool* const pool_;
  UnitOwner* const owner_;
  std::unique_ptr<GatheredArray> trained_, frozen_;  // null where there is no such parameter

  bool recomputes_ = false;      // the last forward pass
  bool backward_began_ = false;  // of the last forward pass
  size_t gradients_pending_ = 0;
  bool in_backward_ = false;
  // Accumulators live only as long as somebody holds them, and their hooks with them.
  std::vector<std::shared_ptr<torch::autograd::Node>> accumulators_;
  at::Tensor kept_gradients_;  // [padded] float32, of earlier passes of the step; else undefined

  // A reduction under way: whole gradients, the shard's sum where replicas follow, the slice's sum.
  at::Tensor reduced_whole_, reduced_shard_, reduced_slice_;
  cluster::Pending reduction_;
  bool reduces_ = false;
  bool gradient_is_fresh_ = true;  // the shard's gradient holds nothing of this step
  at::Tensor slice_gradient_;      // the shard's gradient itself where there are no replicas
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_FSDP_SHARDED_UNIT_H_
