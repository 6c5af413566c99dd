#include "model/token_loss.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "base/check.h"
#include "model/kernels/matmul.h"
#include "model/kernels/row_kernels.h"
#include "model/to_device.h"

namespace halcyon::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

// Fewer rows than this make a poor matrix product.
constexpr int64_t kPartRowsMin = 64;

// Outputs total, losses, correct. The forward pass leaves the gradients in the context.
struct TokenLossFunction : public torch::autograd::Function<TokenLossFunction> {
  static variable_list forward(AutogradContext* context, const Variable& rows,
                               const Variable& table, const at::Tensor& labels,
                               const at::Tensor& weights, bool with_gradient) {
    const int64_t count = rows.size(0), vocab = table.size(0);
    const int64_t part = std::max<int64_t>(
        kPartRowsMin, kLogitBytes / (vocab * static_cast<int64_t>(sizeof(float))));
    const auto options = rows.options().requires_grad(false);
    at::Tensor losses = at::empty({count}, options), correct = at::empty({count}, options);
    at::Tensor of_rows, of_table;
    if (with_gradient) {
      of_rows = at::empty(rows.sizes(), options);
      of_table = count == 0 ? at::zeros(table.sizes(), options) : at::empty(table.sizes(), options);
    }
    for (int64_t begin = 0; begin < count; begin += part) {
      const int64_t size = std::min(part, count - begin);
      const at::Tensor some = AsFactor(rows.narrow(0, begin, size), table);
      // The logits, which become their gradient.
      const at::Tensor logits = Product(some, table.t());
      const Labelled targets = {labels.const_data_ptr<int64_t>() + begin,
                                weights.const_data_ptr<float>() + begin};
      float* const of_part = losses.mutable_data_ptr<float>() + begin;
      float* const correct_of_part = correct.mutable_data_ptr<float>() + begin;
      if (logits.scalar_type() == at::kBFloat16) {
        CrossEntropyRows(targets, {size, vocab}, with_gradient,
                         logits.mutable_data_ptr<c10::BFloat16>(), of_part, correct_of_part);
      } else {
        CrossEntropyRows(targets, {size, vocab}, with_gradient, logits.mutable_data_ptr<float>(),
                         of_part, correct_of_part);
      }
      if (!with_gradient) continue;
      MatMul(logits, table, MatMulTo::kOut, of_rows.narrow(0, begin, size));
      MatMul(logits.t(), some, begin == 0 ? MatMulTo::kOut : MatMulTo::kAdd, of_table);
    }
    if (with_gradient) context->save_for_backward({of_rows, of_table});
    context->mark_non_differentiable({losses, correct});
    return {at::dot(weights, losses), losses, correct};
  }

  static variable_list backward(AutogradContext* context, const variable_list& outputs) {
    variable_list gradients = context->get_saved_variables();
    // By 1 where the total is what was differentiated: then nothing is to be multiplied.
    if (outputs[0].item<float>() != 1.0f) {
      for (Variable& gradient : gradients) gradient = gradient * outputs[0];
    }
    gradients.resize(5);
    return gradients;
  }
};

TokenLoss ComposedTokenLoss(const at::Tensor& rows, const at::Tensor& table,
                            const at::Tensor& labels, const at::Tensor& weights) {
  const at::Tensor logits = at::mm(rows.to(table.scalar_type()), table.t()).to(rows.scalar_type());
  const at::Tensor losses = at::cross_entropy_loss(logits, labels, {}, at::Reduction::None);
  const at::Tensor correct = (logits.argmax(1) == labels).to(rows.scalar_type());
  return {at::dot(weights, losses), losses.detach(), correct};
}

}  // namespace

TokenLoss WeightedTokenLoss(const at::Tensor& rows, const at::Tensor& table,
                            const at::Tensor& labels, const at::Tensor& weights) {
  HALCYON_CHECK(rows.dim() == 2 && table.dim() == 2 && rows.size(1) == table.size(1));
  HALCYON_CHECK(labels.dim() == 1 && labels.size(0) == rows.size(0) &&
                labels.scalar_type() == at::kLong && weights.sizes() == labels.sizes());
  if (!rows.is_cpu() || rows.scalar_type() != at::kFloat) {
    return ComposedTokenLoss(rows, table, ToDevice(labels, rows.device()),
                             ToDevice(weights, rows.device()));
  }
  const at::Tensor dense = labels.contiguous();
  for (int64_t i = 0; i < dense.size(0); ++i) {
    const int64_t label = dense.const_data_ptr<int64_t>()[i];
    HALCYON_CHECK(label >= 0 && label < table.size(0));
  }
  const bool with_gradient =
      c10::GradMode::is_enabled() && (rows.requires_grad() || table.requires_grad());
  const variable_list parts = TokenLossFunction::apply(
      rows.contiguous(), table, dense, weights.detach().contiguous(), with_gradient);
  return {parts[0], parts[1], parts[2]};
}

}  // namespace halcyon::model
