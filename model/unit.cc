#include "model/unit.h"

#include <ATen/ATen.h>

namespace halcyon::model {

int64_t Parameter::numel() const {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return count;
}

Parameter& Unit::Add(std::string name, std::vector<int64_t> shape, InitKind init) {
  Parameter& parameter = parameters_.emplace_back();
  parameter.name = std::move(name);
  parameter.decays = shape.size() >= 2;
  parameter.shape = std::move(shape);
  parameter.init = init;
  return parameter;
}

int64_t Unit::numel() const {
  int64_t count = 0;
  for (const Parameter& parameter : parameters_) count += parameter.numel();
  return count;
}

void Unit::Materialise(c10::Device device) {
  const at::TensorOptions options = at::TensorOptions(at::kFloat).device(device);
  for (Parameter& parameter : parameters_) {
    parameter.value = at::zeros(parameter.shape, options).requires_grad_(parameter.requires_grad);
  }
}

void Unit::Enter() {
  if (hooks_ != nullptr) hooks_->BeforeForward(*this);
}

at::Tensor Unit::Exit(const at::Tensor& output) {
  return hooks_ != nullptr ? hooks_->AfterForward(*this, output) : output;
}

at::Tensor Unit::Run(const at::Tensor& input, const UnitFunction& function) {
  return hooks_ != nullptr ? hooks_->Run(*this, input, function) : function(input);
}

}  // namespace halcyon::model
