// The baseline that CALM is compared with: the same Transformer over single tokens, with a softmax
// over the vocabulary (paper section 6.1).
#ifndef HALCYON_MODEL_BASELINE_MODEL_H_
#define HALCYON_MODEL_BASELINE_MODEL_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "jobs/job_spec.h"
#include "model/backbone.h"
#include "model/token_loss.h"
#include "model/unit.h"

namespace halcyon::model {

class BaselineModel {
 public:
  // Registers parameters; gives them no storage.
  BaselineModel(const jobs::ModelSpec& spec, int64_t vocab_size);
  ~BaselineModel();

  // "input", "block.0" ..., "head"; with tied embeddings the table is in "input" alone.
  std::vector<Unit*> units();
  const jobs::ModelSpec& spec() const { return spec_; }
  int64_t vocab_size() const { return vocab_size_; }

  // tokens: int64 [batch, steps] -> [batch, steps, vocab]; step t has seen tokens 0 ... t and
  // predicts token t + 1. With a cache, the tokens follow those in it.
  at::Tensor Logits(const at::Tensor& tokens, const Placement* placement = nullptr,
                    BackboneCache* cache = nullptr);

  // Of the token that follows each of the first `steps`: tokens: int64 [batch, steps + 1]; weights:
  // [batch * steps], what each position counts for. `placement` of the first `steps`.
  TokenLoss NextTokenLoss(const at::Tensor& tokens, const at::Tensor& weights,
                          const Placement* placement = nullptr);

 private:
  // Up to the final norm: [batch * steps, hidden], with the units of the table entered.
  at::Tensor Hidden(const at::Tensor& tokens, const Placement* placement, BackboneCache* cache);
  // `last` is what was made with the table.
  at::Tensor Leave(const at::Tensor& last);

  struct Network;
  jobs::ModelSpec spec_;
  int64_t vocab_size_;
  std::unique_ptr<Network> network_;
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_BASELINE_MODEL_H_
