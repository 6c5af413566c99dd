// The contexts of a batch of texts, encoded step by step over a cache of keys and values.
//
// Texts of different lengths are aligned at the right, after padding that nothing attends to, so
// every text has the positions and the attention that it would have alone. A context that outgrows
// the window is cut to its last half and encoded anew: a cut at every step would cost a whole
// window each, since rotary positions and keys would all shift, while this one costs half a window
// in every half window. What a text sees depends on its own length only.
#ifndef HALCYON_WORKER_GENERATION_CONTEXT_WINDOW_H_
#define HALCYON_WORKER_GENERATION_CONTEXT_WINDOW_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model/backbone.h"
#include "worker/generation/step_sampler.h"

namespace halcyon::worker {

// Not thread-safe.
class ContextWindow {
 public:
  // tokens int64 [batch, steps, step_size] -> [batch, steps, width].
  using Encode = std::function<at::Tensor(
      const at::Tensor& tokens, const model::Placement* placement, model::BackboneCache* cache)>;
  // Contexts have at most `steps_max` steps, at least 1.
  ContextWindow(int64_t step_size, int64_t steps_max, Encode encode);

  // Longer contexts keep their last steps_max steps.
  void Begin(std::vector<Tokens> contexts);
  void Append(std::span<const Tokens> steps);
  void Keep(const std::vector<int64_t>& rows);
  // [batch, width]: the network's output after the last step of each text.
  const at::Tensor& Last();

 private:
  int64_t Steps(const Tokens& context) const {
    return static_cast<int64_t>(context.size()) / step_size_;
  }
  void KeepLastSteps(Tokens* context, int64_t steps) const;
  void EncodeColumns(int64_t count);

  int64_t step_size_, steps_max_;
  Encode encode_;
  std::vector<Tokens> contexts_;  // as far as they are seen
  int64_t columns_ = 0;           // of the batch: the longest context's steps, padding included
  model::BackboneCache cache_;    // of all columns but those that Last() has yet to encode
  at::Tensor last_;               // undefined: not encoded yet
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_GENERATION_CONTEXT_WINDOW_H_
