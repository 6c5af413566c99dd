// The cross-entropy of tokens predicted by a table of the vocabulary, without the logits of all
// rows.
#ifndef HALCYON_MODEL_TOKEN_LOSS_H_
#define HALCYON_MODEL_TOKEN_LOSS_H_

#include <ATen/core/Tensor.h>

namespace halcyon::model {

struct TokenLoss {
  at::Tensor total;    // sum(weights * losses), differentiable in rows and table
  at::Tensor losses;   // [R]: -log softmax(logits)[label], detached
  at::Tensor correct;  // float [R]: 1 where the label has the first largest logit
};

// Logits are rows table^T; rows: float32 [R, H], table: float32 or bfloat16 [V, H], labels: int64
// [R], weights: float32 [R] without gradient. On the CPU in float32 the logits, at most kLogitBytes
// of them at a time, become the loss and at once the gradients of rows and table, so that they are
// made once and never kept; that is why the weights are wanted here, not afterwards. Elsewhere all
// logits exist at once.
inline constexpr int64_t kLogitBytes = int64_t{8} << 20;
TokenLoss WeightedTokenLoss(const at::Tensor& rows, const at::Tensor& table,
                            const at::Tensor& labels, const at::Tensor& weights);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_TOKEN_LOSS_H_
