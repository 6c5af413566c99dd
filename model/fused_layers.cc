#include "model/fused_layers.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/check.h"
#include "model/kernels/matmul.h"
#include "model/kernels/row_kernels.h"
#include "model/to_device.h"

namespace halcyon::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

bool HasKernels(const at::Tensor& tensor) {
  return tensor.is_cpu() && tensor.scalar_type() != at::kDouble;
}

template <typename T = float>
const T* In(const at::Tensor& tensor) {
  return tensor.const_data_ptr<T>();
}
template <typename T = float>
T* Out(const at::Tensor& tensor) {
  return tensor.mutable_data_ptr<T>();
}

// Calls `kernel` with a number of the type that the tensor has.
template <typename Kernel>
void WithTypeOf(const at::Tensor& tensor, const Kernel& kernel) {
  tensor.scalar_type() == at::kBFloat16 ? kernel(c10::BFloat16()) : kernel(float());
}

at::Tensor Like(const at::Tensor& tensor) {
  return at::empty(tensor.sizes(), tensor.options().requires_grad(false));
}

at::Tensor AsFloat(const at::Tensor& tensor) { return tensor.to(at::kFloat); }

Rows ShapeOf(const at::Tensor& rows) { return {rows.size(0), rows.size(1)}; }

struct EmbeddedRowsFunction : public torch::autograd::Function<EmbeddedRowsFunction> {
  static Variable forward(AutogradContext* context, const Variable& table, const at::Tensor& ids) {
    context->save_for_backward({ids});
    context->saved_data["entries"] = table.size(0);
    return AsFloat(at::embedding(table.detach(), ids));
  }
  static variable_list backward(AutogradContext* context, const variable_list& outputs) {
    const at::Tensor ids = context->get_saved_variables()[0];
    // In the rows' float32, not in the table's type: a frequent token's sum has many terms.
    return {at::embedding_dense_backward(outputs[0], ids, context->saved_data["entries"].toInt(),
                                         /*padding_idx=*/-1, /*scale_grad_by_freq=*/false),
            Variable()};
  }
};

struct LinearFunction : public torch::autograd::Function<LinearFunction> {
  static Variable forward(AutogradContext* context, const Variable& rows, const Variable& weight,
                          const std::optional<at::Tensor>& bias) {
    const at::Tensor factor = AsFactor(rows, weight);
    context->save_for_backward({factor, weight});
    context->saved_data["biased"] = bias.has_value();
    if (!bias) return MatMul(factor, weight.t());
    // A single row would already be contiguous, and be the bias itself.
    at::Tensor out =
        AsFloat(bias->detach()).expand({rows.size(0), -1}).clone(at::MemoryFormat::Contiguous);
    MatMul(factor, weight.t(), MatMulTo::kAdd, out);
    return out;
  }
  static variable_list backward(AutogradContext* context, const variable_list& outputs) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor gradient = outputs[0].contiguous();
    const at::Tensor factor = AsFactor(gradient, saved[1]);
    variable_list gradients(3);
    if (context->needs_input_grad(0)) gradients[0] = MatMul(factor, saved[1]);
    if (context->needs_input_grad(1)) gradients[1] = Product(factor.t(), saved[0]);
    if (context->saved_data["biased"].toBool()) gradients[2] = gradient.sum(0);
    return gradients;
  }
};

struct LinearAddFunction : public torch::autograd::Function<LinearAddFunction> {
  static Variable forward(AutogradContext* context, const Variable& rows, const Variable& weight,
                          const Variable& residual) {
    const at::Tensor factor = AsFactor(rows, weight);
    context->save_for_backward({factor, weight});
    at::Tensor out = residual.detach().clone(at::MemoryFormat::Contiguous);
    MatMul(factor, weight.t(), MatMulTo::kAdd, out);
    return out;
  }
  static variable_list backward(AutogradContext* context, const variable_list& outputs) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor gradient = AsFactor(outputs[0].contiguous(), saved[1]);
    return {Product(gradient, saved[1]), Product(gradient.t(), saved[0]), outputs[0]};
  }
};

struct RmsNormFunction : public torch::autograd::Function<RmsNormFunction> {
  static Variable forward(AutogradContext* context, const Variable& given, const Variable& weight,
                          double epsilon) {
    const at::Tensor rows = given.contiguous();
    at::Tensor normed = Like(rows), scale = at::empty({rows.size(0)}, at::kFloat);
    const at::Tensor factors = AsFloat(weight.detach());
    RmsNormForward(In(rows), In(factors), ShapeOf(rows), epsilon, Out(normed), Out(scale));
    context->save_for_backward({rows, factors, scale});
    return normed;
  }
  static variable_list backward(AutogradContext* context, const variable_list& outputs) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor gradient = outputs[0].contiguous();
    at::Tensor of_rows = Like(saved[0]), of_weight = Like(saved[1]);
    RmsNormBackward(In(saved[0]), In(saved[1]), In(saved[2]), In(gradient), ShapeOf(saved[0]),
                    Out(of_rows), Out(of_weight));
    return {of_rows, of_weight, Variable()};
  }
};

struct NormedLinearsFunction : public torch::autograd::Function<NormedLinearsFunction> {
  static variable_list forward(AutogradContext* context, const Variable& given,
                               const Variable& norm_weight, double epsilon,
                               at::TensorList weights) {
    const at::Tensor rows = given.contiguous();
    const at::Tensor scale = at::empty({rows.size(0)}, at::kFloat);
    const at::Tensor factors = AsFloat(norm_weight.detach());
    const at::Tensor normed = Normed(rows, factors, epsilon, weights[0], scale);
    variable_list saved = {rows, factors, scale};
    saved.insert(saved.end(), weights.begin(), weights.end());
    context->save_for_backward(std::move(saved));
    context->saved_data["epsilon"] = epsilon;
    variable_list outputs;
    for (const at::Tensor& weight : weights) outputs.push_back(Product(normed, weight.t()));
    return outputs;
  }
  static variable_list backward(AutogradContext* context, const variable_list& outputs) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &rows = saved[0], &norm_weight = saved[1], &scale = saved[2];
    const double epsilon = context->saved_data["epsilon"].toDouble();
    const at::Tensor normed = Normed(rows, norm_weight, epsilon, saved[3], Like(scale));
    const at::Tensor of_normed = Like(rows);
    variable_list gradients(3);
    for (size_t i = 0; i < outputs.size(); ++i) {
      const at::Tensor gradient = AsFactor(outputs[i].contiguous(), saved[3 + i]);
      MatMul(gradient, saved[3 + i], i == 0 ? MatMulTo::kOut : MatMulTo::kAdd, of_normed);
      gradients.push_back(Product(gradient.t(), normed));
    }
    gradients[0] = Like(rows), gradients[1] = Like(norm_weight);
    RmsNormBackward(In(rows), In(norm_weight), In(scale), In(of_normed), ShapeOf(rows),
                    Out(gradients[0]), Out(gradients[1]));
    return gradients;
  }

 private:
  // As a factor of a product with `weight`. Writes `scale`.
  static at::Tensor Normed(const at::Tensor& rows, const at::Tensor& norm_weight, double epsilon,
                           const at::Tensor& weight, const at::Tensor& scale) {
    const at::Tensor normed = at::empty(rows.sizes(), weight.scalar_type());
    WithTypeOf(normed, [&](auto zero) {
      using T = decltype(zero);
      RmsNormForward(In(rows), In(norm_weight), ShapeOf(rows), epsilon, Out<T>(normed), Out(scale));
    });
    return normed;
  }
};

struct GatedHalvesFunction : public torch::autograd::Function<GatedHalvesFunction> {
  static Variable forward(AutogradContext* context, const Variable& both) {
    context->save_for_backward({both});
    const int64_t width = both.size(1) / 2;
    at::Tensor out = at::empty({both.size(0), width}, at::kFloat);
    GatedForward(In(both), In(both) + width, ShapeOf(out), 2 * width, Out(out));
    return out;
  }
  static variable_list backward(AutogradContext* context, const variable_list& outputs) {
    const at::Tensor both = context->get_saved_variables()[0];
    const at::Tensor gradient = outputs[0].contiguous();
    const int64_t width = gradient.size(1);
    at::Tensor of_both = Like(both), again = Like(gradient);
    GatedBackward(In(both), In(both) + width, In(gradient), ShapeOf(gradient), 2 * width,
                  Out(of_both), Out(of_both) + width, Out(again));
    return {of_both};
  }
};

struct GatedLinearAddFunction : public torch::autograd::Function<GatedLinearAddFunction> {
  static Variable forward(AutogradContext* context, const Variable& gate, const Variable& value,
                          const Variable& weight, const Variable& residual) {
    context->save_for_backward({gate, value, weight});
    const at::Tensor gated = Like(gate);
    WithTypeOf(gate, [&](auto zero) {
      using T = decltype(zero);
      GatedForward(In<T>(gate), In<T>(value), ShapeOf(gate), gate.size(1), Out<T>(gated));
    });
    at::Tensor out = residual.detach().clone(at::MemoryFormat::Contiguous);
    MatMul(gated, weight.t(), MatMulTo::kAdd, out);
    return out;
  }
  static variable_list backward(AutogradContext* context, const variable_list& outputs) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor gradient = AsFactor(outputs[0].contiguous(), saved[2]);
    const at::Tensor of_gated = Product(gradient, saved[2]).to(saved[0].scalar_type());
    at::Tensor of_gate = Like(of_gated), of_value = Like(of_gated), gated = Like(of_gated);
    WithTypeOf(of_gated, [&](auto zero) {
      using T = decltype(zero);
      GatedBackward(In<T>(saved[0]), In<T>(saved[1]), In<T>(of_gated), ShapeOf(of_gated),
                    of_gated.size(1), Out<T>(of_gate), Out<T>(of_value), Out<T>(gated));
    });
    return {of_gate, of_value, Product(gradient.t(), gated), outputs[0]};
  }
};

struct RotateFunction : public torch::autograd::Function<RotateFunction> {
  static Variable forward(AutogradContext* context, const Variable& heads, const at::Tensor& cosine,
                          const at::Tensor& sine) {
    context->save_for_backward({cosine, sine});
    return Turn(heads, cosine, sine, 1);
  }
  static variable_list backward(AutogradContext* context, const variable_list& outputs) {
    const variable_list saved = context->get_saved_variables();
    return {Turn(outputs[0], saved[0], saved[1], -1), Variable(), Variable()};
  }

 private:
  static at::Tensor Turn(const at::Tensor& given, const at::Tensor& cosine, const at::Tensor& sine,
                         float direction) {
    const at::Tensor heads = given.contiguous();
    at::Tensor out = Like(heads);
    const Heads shape = {heads.size(0) * heads.size(1), heads.size(2), heads.size(3) / 2,
                         cosine.size(0) * cosine.size(1)};
    RotateHeads(In(heads), In(cosine), In(sine), shape, direction, Out(out));
    return out;
  }
};

// rows W^T in the weight's type, then as wide as the rows and no less than float32.
at::Tensor ComposedProduct(const at::Tensor& rows, const at::Tensor& weight) {
  return at::mm(rows.to(weight.scalar_type()), weight.t())
      .to(c10::promoteTypes(rows.scalar_type(), at::kFloat));
}

}  // namespace

at::Tensor EmbeddedRows(const at::Tensor& table, const at::Tensor& ids) {
  return EmbeddedRowsFunction::apply(table, ToDevice(ids, table.device()));
}

at::Tensor LinearRows(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias) {
  if (HasKernels(rows)) {
    const auto given = bias.defined() ? std::optional(bias) : std::nullopt;
    return LinearFunction::apply(rows, weight, given);
  }
  const at::Tensor product = ComposedProduct(rows, weight);
  return bias.defined() ? product + bias.to(product.scalar_type()) : product;
}

at::Tensor LinearAdd(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& residual) {
  if (HasKernels(rows)) return LinearAddFunction::apply(rows, weight, residual);
  return residual + ComposedProduct(rows, weight);
}

at::Tensor RmsNormRows(const at::Tensor& rows, const at::Tensor& weight, double epsilon) {
  if (HasKernels(rows)) return RmsNormFunction::apply(rows, weight, epsilon);
  return at::rms_norm(rows, weight.sizes(), weight.to(rows.scalar_type()), epsilon);
}

std::vector<at::Tensor> NormedLinears(const at::Tensor& rows, const at::Tensor& norm_weight,
                                      double epsilon, const std::vector<at::Tensor>& weights) {
  if (HasKernels(rows)) {
    return NormedLinearsFunction::apply(rows, norm_weight, epsilon, at::TensorList(weights));
  }
  const at::Tensor normed = RmsNormRows(rows, norm_weight, epsilon);
  std::vector<at::Tensor> outputs;
  for (const at::Tensor& weight : weights) outputs.push_back(ComposedProduct(normed, weight));
  return outputs;
}

at::Tensor GatedHalves(const at::Tensor& both) {
  HALCYON_CHECK(both.size(1) % 2 == 0);
  if (HasKernels(both)) return GatedHalvesFunction::apply(both.contiguous());
  const auto halves = at::split(both, both.size(1) / 2, 1);
  return at::silu(halves[0]) * halves[1];
}

at::Tensor GatedLinearAdd(const at::Tensor& gate, const at::Tensor& value, const at::Tensor& weight,
                          const at::Tensor& residual) {
  if (HasKernels(gate)) {
    return GatedLinearAddFunction::apply(gate.contiguous(), value.contiguous(), weight, residual);
  }
  return residual + ComposedProduct(at::silu(gate) * value, weight);
}

at::Tensor RotatedHeads(const at::Tensor& heads, const at::Tensor& cosine, const at::Tensor& sine) {
  if (HasKernels(heads)) {
    return RotateFunction::apply(AsFloat(heads), cosine.contiguous(), sine.contiguous());
  }
  const auto halves = at::split(heads, heads.size(3) / 2, 3);
  return at::cat({halves[0] * cosine - halves[1] * sine, halves[1] * cosine + halves[0] * sine}, 3);
}

}  // namespace halcyon::model
