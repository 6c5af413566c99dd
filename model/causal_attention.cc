#include "model/causal_attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "base/check.h"
#include "model/fused_layers.h"
#include "model/kernels/attention_kernel.h"

namespace halcyon::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

struct CausalAttentionFunction : public torch::autograd::Function<CausalAttentionFunction> {
  static Variable forward(AutogradContext* context, const Variable& query, const Variable& key,
                          const Variable& value, const at::Tensor& cosine, const at::Tensor& sine,
                          const at::Tensor& first_visible, int64_t batch, int64_t heads) {
    const variable_list given = {
        query.contiguous(), key.contiguous(), value.contiguous(), cosine, sine, first_visible};
    context->saved_data["batch"] = batch;
    context->saved_data["heads"] = heads;
    context->save_for_backward(given);
    const at::Tensor out = at::empty(query.sizes(), query.scalar_type());
    const AttentionShape shape = ShapeOf(given, batch, heads);
    if (query.scalar_type() == at::kBFloat16) {
      AttentionForward(InputOf<c10::BFloat16>(given), shape, out.data_ptr<c10::BFloat16>());
    } else {
      AttentionForward(InputOf<float>(given), shape, out.data_ptr<float>());
    }
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& outputs) {
    const variable_list saved = context->get_saved_variables();
    const AttentionShape shape =
        ShapeOf(saved, context->saved_data["batch"].toInt(), context->saved_data["heads"].toInt());
    return saved[0].scalar_type() == at::kBFloat16
               ? Gradients<c10::BFloat16>(saved, shape, outputs[0].contiguous())
               : Gradients<float>(saved, shape, outputs[0].contiguous());
  }

 private:
  template <typename T>
  static variable_list Gradients(const variable_list& saved, const AttentionShape& shape,
                                 const at::Tensor& gradient) {
    variable_list gradients(8);
    for (size_t i = 0; i < 3; ++i) {
      gradients[i] = at::empty(gradient.sizes(), gradient.scalar_type());
    }
    const auto to = [&](size_t i) { return gradients[i].data_ptr<T>(); };
    AttentionBackward<T>(InputOf<T>(saved), shape, gradient.const_data_ptr<T>(),
                         {to(0), to(1), to(2)});
    return gradients;
  }
  template <typename T>
  static AttentionInput<T> InputOf(const variable_list& tensors) {
    const auto rows = [&](size_t i) { return tensors[i].const_data_ptr<T>(); };
    const auto angles = [&](size_t i) { return tensors[i].const_data_ptr<float>(); };
    return {rows(0),   rows(1),
            rows(2),   angles(3),
            angles(4), tensors[5].numel() == 0 ? nullptr : tensors[5].const_data_ptr<int64_t>()};
  }
  static AttentionShape ShapeOf(const variable_list& tensors, int64_t batch, int64_t heads) {
    const at::Tensor &query = tensors[0], &cosine = tensors[3];
    return {batch, query.size(0) / batch, heads, query.size(1) / heads / 2,
            cosine.size(0) * cosine.size(1)};
  }
};

}  // namespace

at::Tensor CausalMask(const at::Tensor& first_visible, int64_t length) {
  const int64_t steps = first_visible.size(1);
  const at::Tensor to = at::arange(length + steps, first_visible.options());
  return to.le(to.narrow(0, length, steps).view({1, 1, -1, 1}))
      .logical_and(to.ge(first_visible.unsqueeze(1).unsqueeze(3)));
}

at::Tensor CausalAttention(const AttentionRows& rows, int64_t batch, int64_t heads,
                           const at::Tensor& cosine, const at::Tensor& sine,
                           const at::Tensor& first_visible) {
  const at::Tensor& query = rows.query;
  HALCYON_CHECK(query.dim() == 2 && query.size(0) % batch == 0 && query.size(1) % heads == 0 &&
                rows.key.sizes() == query.sizes() && rows.value.sizes() == query.sizes());
  if (query.is_cpu() && query.scalar_type() != at::kDouble) {
    return CausalAttentionFunction::apply(
        query, rows.key, rows.value, cosine.contiguous(), sine.contiguous(),
        first_visible.defined() ? first_visible.contiguous() : at::empty({0}, at::kLong), batch,
        heads);
  }
  const auto split = [&](const at::Tensor& wide) {
    return wide.view({batch, query.size(0) / batch, heads, query.size(1) / heads});
  };
  const auto turned = [&](const at::Tensor& wide) {
    return RotatedHeads(split(wide), cosine, sine).transpose(1, 2);
  };
  std::optional<at::Tensor> mask;
  if (first_visible.defined()) mask = CausalMask(first_visible, /*length=*/0);
  const at::Tensor mixed = at::scaled_dot_product_attention(
      turned(query), turned(rows.key), split(rows.value).transpose(1, 2), mask,
      /*dropout_p=*/0.0, /*is_causal=*/!mask.has_value());
  return mixed.transpose(1, 2).reshape(query.sizes());
}

}  // namespace halcyon::model
