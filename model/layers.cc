#include "model/layers.h"

#include <ATen/ATen.h>

#include "model/fused_layers.h"

namespace halcyon::model {

Linear::Linear(Unit& unit, const std::string& name, int64_t in, int64_t out, Bias bias,
               InitKind init)
    : weight_(unit.Add(name + ".weight", {out, in}, init)) {
  if (bias == Bias::kYes) bias_ = &unit.Add(name + ".bias", {out}, InitKind::kZero);
}

at::Tensor Linear::operator()(const at::Tensor& rows) const {
  return LinearRows(rows, weight_.value, bias_ == nullptr ? at::Tensor() : bias_->value);
}

RmsNorm::RmsNorm(Unit& unit, const std::string& name, int64_t width, double epsilon)
    : weight_(unit.Add(name + ".weight", {width}, InitKind::kOne)), epsilon_(epsilon) {}

at::Tensor RmsNorm::operator()(const at::Tensor& rows) const {
  const at::Tensor flat = rows.reshape({-1, rows.size(-1)});
  return RmsNormRows(flat, weight_.value, epsilon_).view(rows.sizes());
}

LayerNorm::LayerNorm(Unit& unit, const std::string& name, int64_t width)
    : weight_(unit.Add(name + ".weight", {width}, InitKind::kOne)),
      bias_(unit.Add(name + ".bias", {width}, InitKind::kZero)) {}

at::Tensor LayerNorm::operator()(const at::Tensor& rows) const {
  const at::ScalarType type = rows.scalar_type();
  return at::layer_norm(rows, weight_.shape, weight_.value.to(type), bias_.value.to(type),
                        kLayerNormEpsilon);
}

GatedMlp::GatedMlp(Unit& unit, const std::string& name, int64_t width, int64_t intermediate,
                   double epsilon)
    : norm_(unit, name + ".norm", width, epsilon),
      gate_(unit, name + ".gate", width, intermediate, Linear::Bias::kNone),
      up_(unit, name + ".up", width, intermediate, Linear::Bias::kNone),
      down_(unit, name + ".down", intermediate, width, Linear::Bias::kNone) {}

at::Tensor GatedMlp::operator()(const at::Tensor& rows) const {
  const auto inner =
      NormedLinears(rows, norm_.weight(), norm_.epsilon(), {gate_.weight(), up_.weight()});
  return GatedLinearAdd(inner[0], inner[1], down_.weight(), rows);
}

}  // namespace halcyon::model
