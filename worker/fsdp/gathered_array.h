// Parameters that are gathered at once: this rank's shard of their flat array, and the whole array
// while it is used.
#ifndef HALCYON_WORKER_FSDP_GATHERED_ARRAY_H_
#define HALCYON_WORKER_FSDP_GATHERED_ARRAY_H_

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "base/status.h"
#include "cluster/collectives.h"
#include "model/unit.h"
#include "storage/checkpoint.h"
#include "worker/fsdp/buffer_pool.h"
#include "worker/fsdp/fsdp_options.h"
#include "worker/fsdp/shard_plan.h"

namespace halcyon::worker {

// This rank's part of a flat array. The tensors are float32, `decays` uint8, all of one length and
// on the rank's device. Of frozen parameters there is `value` only, the others are undefined.
struct UnitShard {
  std::string unit;   // "block.3"; "block.3.frozen": what is frozen of a unit that trains in part
  int64_t first = 0;  // of the flat array, in elements
  at::Tensor value, gradient, exp_avg, exp_avg_sq;
  at::Tensor decays;  // 1 where weight decay applies; 0 in the padding
  bool trains() const { return gradient.defined(); }

  // The rank's slice of the shard (shard_plan.h).
  int64_t slice_first = 0;  // of the flat array
  int64_t slice_length = 0;
  at::Tensor SliceOf(const at::Tensor& array) const {
    return array.narrow(0, slice_first - first, slice_length);
  }
};

// Not thread-safe. Borrows all it is given.
class GatheredArray {
 public:
  using Parameters = std::vector<model::Parameter*>;

  // The parameters become views of the whole array, in this order: all of them train, or none.
  // `name` is the shard's, in collectives and checkpoints.
  GatheredArray(std::string name, Parameters parameters, const ShardPlan& plan,
                const FsdpOptions& options, cluster::Collectives* collectives, BufferPool* pool);
  ~GatheredArray();
  GatheredArray(const GatheredArray&) = delete;
  GatheredArray& operator=(const GatheredArray&) = delete;

  // StartGather does nothing when the whole array is there or on its way.
  void StartGather();
  absl::Status FinishGather();
  void Free();
  // All values in float32, apart from the whole parameters: [padded], or the shard itself where it
  // is all of the array. Give them back before the next call.
  absl::StatusOr<at::Tensor> GatherValues();
  void ReturnValues(const at::Tensor& values);
  // Whether anything but this and the parameters refers to the array or to a parameter: a node of
  // autograd's graph whose backward needs the values and has not run.
  bool IsHeld() const;

  const std::string& name() const { return shard_.unit; }
  const Parameters& parameters() const { return parameters_; }
  int64_t padded() const { return padded_; }
  at::ScalarType type() const { return whole_.scalar_type(); }
  UnitShard& shard() { return shard_; }
  storage::UnitLayout Layout() const;

 private:
  enum class State : uint8_t { kFreed, kGathering, kWhole };

  // Whether the parameters are views of the shard itself: it is all of the array, in the right
  // type.
  bool IsInPlace() const;
  void MakeShard(std::string name);
  void MakeViews();
  void FillDecays();

  const Parameters parameters_;
  const ShardPlan plan_;
  const FsdpOptions options_;
  cluster::Collectives* const collectives_;
  BufferPool* const pool_;
  const int64_t numel_, padded_;
  UnitShard shard_;

  at::Tensor whole_;  // [padded]; its memory comes and goes, the parameters are views of it
  at::Tensor sent_;   // the shard in the type of whole_, while it is gathered
  State state_ = State::kWhole;
  cluster::Pending gather_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_FSDP_GATHERED_ARRAY_H_
