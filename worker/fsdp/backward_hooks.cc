#include "worker/fsdp/backward_hooks.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/custom_class.h>

namespace halcyon::worker {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Gate : public torch::autograd::Function<Gate> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& output, int64_t listener) {
    context->saved_data["listener"] = listener;
    return output;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    reinterpret_cast<BackwardListener*>(context->saved_data["listener"].toInt())->BeforeBackward();
    return {gradients[0], at::Tensor()};
  }
};

class AccumulatedHook : public torch::autograd::FunctionPostHook {
 public:
  explicit AccumulatedHook(BackwardListener* listener) : listener_(listener) {}
  variable_list operator()(const variable_list& outputs, const variable_list&) override {
    listener_->GradientAccumulated();
    return outputs;
  }

 private:
  BackwardListener* listener_;
};

// What the backward of a recomputed unit needs; autograd keeps it as an opaque value.
struct Recomputation : public torch::CustomClassHolder {
  std::function<at::Tensor(const at::Tensor&)> forward;
  BackwardListener* listener = nullptr;
};

struct Recomputed : public torch::autograd::Function<Recomputed> {
  // `differentiable` makes the result need a gradient where the input needs none.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& differentiable, const c10::IValue& recomputation) {
    (void)differentiable;
    context->save_for_backward({input});
    context->saved_data["recomputation"] = recomputation;
    context->saved_data["input_needs_gradient"] = input.requires_grad();
    c10::AutoGradMode no_gradient(false);
    return Of(recomputation).forward(input);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const Recomputation& recomputation = Of(context->saved_data["recomputation"]);
    recomputation.listener->BeforeBackward();
    const bool input_needs_gradient = context->saved_data["input_needs_gradient"].toBool();
    at::Tensor input = context->get_saved_variables()[0].detach();
    input.set_requires_grad(input_needs_gradient);
    c10::AutoGradMode with_gradient(true);
    const at::Tensor output = recomputation.forward(input);
    torch::autograd::backward({output}, {gradients[0]});
    return {input_needs_gradient ? input.grad() : at::Tensor(), at::Tensor(), at::Tensor()};
  }

 private:
  static const Recomputation& Of(const c10::IValue& value) {
    return static_cast<const Recomputation&>(*value.toCapsule());
  }
};

}  // namespace

at::Tensor GateBackward(const at::Tensor& output, BackwardListener* listener) {
  return Gate::apply(output, reinterpret_cast<int64_t>(listener));
}

std::shared_ptr<torch::autograd::Node> ListenToGradient(const at::Tensor& parameter,
                                                        BackwardListener* listener) {
  auto accumulator = torch::autograd::impl::grad_accumulator(parameter);
  accumulator->add_post_hook(std::make_unique<AccumulatedHook>(listener));
  return accumulator;
}

at::Tensor RecomputeInBackward(const at::Tensor& input,
                               std::function<at::Tensor(const at::Tensor&)> forward,
                               BackwardListener* listener) {
  auto recomputation = c10::make_intrusive<Recomputation>();
  recomputation->forward = std::move(forward);
  recomputation->listener = listener;
  at::Tensor differentiable = at::zeros({1}, input.options());
  differentiable.set_requires_grad(true);
  return Recomputed::apply(
      input, differentiable,
      c10::IValue::make_capsule(c10::intrusive_ptr<torch::CustomClassHolder>(recomputation)));
}

}  // namespace halcyon::worker
