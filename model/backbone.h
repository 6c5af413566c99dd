// The Llama-style backbone over rows [batch * steps, hidden]: blocks of causal attention with
// rotary positions, then a gated MLP, each behind an RMSNorm and added to its input. No biases. The
// final norm belongs to whoever uses the result.
#ifndef HALCYON_MODEL_BACKBONE_H_
#define HALCYON_MODEL_BACKBONE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "jobs/job_spec.h"
#include "model/layers.h"
#include "model/unit.h"

namespace halcyon::model {

// The keys and values of the steps seen so far, so that a longer context costs only its new steps.
// For inference. Belongs to one backbone and one batch.
class BackboneCache {
 public:
  int64_t length() const { return length_; }
  // Keeps these rows of the batch, in this order; a row may come more than once.
  // rows: int64 [new batch].
  void Select(const at::Tensor& rows);
  // Forgets all but the first `length` steps.
  void Truncate(int64_t length);

 private:
  friend class Backbone;
  friend class TransformerBlock;
  // With room to grow: [batch, key_value_heads, capacity, head_width].
  struct Block {
    at::Tensor keys, values;
  };
  std::vector<Block> blocks_;
  int64_t length_ = 0;
};

// Where new steps stand and what they see, when that is not "one after the other".
struct Placement {
  // int64 [batch, steps]: the position that the rotary embedding turns by. Undefined: length of the
  // cache, and on.
  at::Tensor positions = {};
  // bool [batch or 1, 1, steps, cached + steps]: true where a step attends to another. Undefined:
  // to everything cached and, causally, to the new steps.
  at::Tensor visible = {};
  // int64 [batch, steps], without `visible`: the first step, counted with those cached, that each
  // one attends to; not after itself. Undefined: 0. Keeps documents of one window apart.
  at::Tensor first_visible = {};
};

// Rotary position embedding (Su et al., "RoFormer") in the half-split layout: in each head, element
// i and element i + width / 2 turn together by position * theta^(-2 i / width).
class Rotation {
 public:
  // positions: int64 [batch or 1, steps].
  Rotation(const at::Tensor& positions, int64_t head_width, double theta, at::ScalarType dtype);
  // [batch, steps, heads, head_width] -> the same.
  at::Tensor operator()(const at::Tensor& heads) const;
  // [batch or 1, steps, 1, head_width / 2].
  const at::Tensor& cosine() const { return cosine_; }
  const at::Tensor& sine() const { return sine_; }

 private:
  at::Tensor cosine_, sine_;
};

class TransformerBlock {
 public:
  TransformerBlock(Unit& unit, const std::string& name, const jobs::ModelSpec& spec);
  // `placement`: what steps see, on their device. `cache` (with `length` steps in it) may be null.
  at::Tensor operator()(const at::Tensor& rows, int64_t batch, const Rotation& rotation,
                        const Placement& placement, int64_t length,
                        BackboneCache::Block* cache) const;

 private:
  // rows + attention over their norm.
  at::Tensor Attend(const at::Tensor& rows, int64_t batch, const Rotation& rotation,
                    const Placement& placement, int64_t length, BackboneCache::Block* cache) const;
  // Of projected queries, keys and values, each [batch * steps, its heads * head_width] -> the
  // heads' outputs [batch * steps, hidden]: causal over these steps, or as `visible` and the cache
  // have it.
  at::Tensor AttendOwnSteps(const std::vector<at::Tensor>& projected, int64_t batch,
                            const Rotation& rotation, const at::Tensor& first_visible) const;
  at::Tensor AttendCached(const std::vector<at::Tensor>& projected, int64_t batch,
                          const Rotation& rotation, const at::Tensor& visible, int64_t length,
                          BackboneCache::Block* cache) const;

  int64_t heads_, key_value_heads_;
  RmsNorm norm_;
  Linear query_, key_, value_, output_;
  GatedMlp mlp_;
};

class Backbone {
 public:
  explicit Backbone(const jobs::ModelSpec& spec);

  // One a block: "block.0", "block.1", ...
  std::vector<Unit*> units();

  // rows [batch * steps, hidden] -> the same, after all blocks. With a cache the steps follow those
  // in it, and are added to it.
  at::Tensor operator()(at::Tensor rows, int64_t batch, const Placement* placement = nullptr,
                        BackboneCache* cache = nullptr);

 private:
  int64_t head_width_;
  double rope_theta_;
  std::deque<Unit> units_;
  std::deque<TransformerBlock> blocks_;
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_BACKBONE_H_
