// Building blocks of the networks: parameters registered in a unit, and the function that uses
// them. A layer looks its parameters up at each call, since the sharder swaps their storage.
// Rows are [rows, width], float32.
#ifndef HALCYON_MODEL_LAYERS_H_
#define HALCYON_MODEL_LAYERS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "model/unit.h"

namespace halcyon::model {

inline constexpr double kLayerNormEpsilon = 1e-6;

// y = x W^T (+ b). Parameters NAME.weight [out, in] and NAME.bias [out].
class Linear {
 public:
  enum class Bias { kNone, kYes };
  Linear(Unit& unit, const std::string& name, int64_t in, int64_t out, Bias bias,
         InitKind init = InitKind::kWeight);
  at::Tensor operator()(const at::Tensor& rows) const;
  const at::Tensor& weight() const { return weight_.value; }
  const at::Tensor& bias() const { return bias_->value; }

 private:
  Parameter& weight_;
  Parameter* bias_ = nullptr;
};

// x / sqrt(mean(x^2) + eps) * w.
class RmsNorm {
 public:
  RmsNorm(Unit& unit, const std::string& name, int64_t width, double epsilon);
  at::Tensor operator()(const at::Tensor& rows) const;
  const at::Tensor& weight() const { return weight_.value; }
  double epsilon() const { return epsilon_; }

 private:
  Parameter& weight_;
  double epsilon_;
};

// (x - mean) / sqrt(variance + eps) * w + b.
class LayerNorm {
 public:
  LayerNorm(Unit& unit, const std::string& name, int64_t width);
  at::Tensor operator()(const at::Tensor& rows) const;

 private:
  Parameter& weight_;
  Parameter& bias_;
};

// x + down(silu(gate(n)) * up(n)) with n = RmsNorm(x); no biases.
class GatedMlp {
 public:
  GatedMlp(Unit& unit, const std::string& name, int64_t width, int64_t intermediate,
           double epsilon);
  at::Tensor operator()(const at::Tensor& rows) const;

 private:
  RmsNorm norm_;
  Linear gate_, up_, down_;
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_LAYERS_H_
