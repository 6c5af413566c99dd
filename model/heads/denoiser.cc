#include "model/heads/denoiser.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "model/heads/latent_head.h"

namespace halcyon::model {
namespace {

constexpr int64_t kFrequencies = 128;
constexpr double kLongestPeriod = 10000;

// [cos | sin](t * 10000^(-i / 128)): int64 [...] -> float32 [times, 256]. The reference's float32.
at::Tensor Sinusoids(const at::Tensor& times) {
  const at::Tensor index =
      at::arange(kFrequencies, at::TensorOptions(at::kFloat).device(times.device()));
  const at::Tensor frequency = at::exp(index * (-std::log(kLongestPeriod) / kFrequencies));
  const at::Tensor angle = times.reshape({-1, 1}).to(at::kFloat) * frequency;
  return at::cat({at::cos(angle), at::sin(angle)}, 1);
}

at::Tensor ApplyLinear(const Linear& linear, const at::Tensor& input) {
  std::vector<int64_t> shape = input.sizes().vec();
  shape.back() = -1;
  return linear(input.reshape({-1, input.size(-1)})).view(shape);
}

at::Tensor Modulate(const at::Tensor& state, const at::Tensor& shift, const at::Tensor& scale) {
  return state * (1 + scale) + shift;
}

}  // namespace

DenoiserBlock::DenoiserBlock(Unit& unit, const std::string& name, int64_t width)
    : norm_(unit, name + ".norm", width),
      expand_(unit, name + ".expand", width, width, Linear::Bias::kYes),
      contract_(unit, name + ".contract", width, width, Linear::Bias::kYes),
      modulation_(unit, name + ".modulation", width, 3 * width, Linear::Bias::kYes,
                  InitKind::kZero) {}

at::Tensor DenoiserBlock::operator()(const at::Tensor& state, const at::Tensor& y) const {
  const std::vector<at::Tensor> parts = at::chunk(ApplyLinear(modulation_, y), 3, -1);
  const at::Tensor moved = Modulate(norm_(state), parts[0], parts[1]);
  return state + parts[2] * ApplyLinear(contract_, at::silu(ApplyLinear(expand_, moved)));
}

Denoiser::Denoiser(Unit& unit, const jobs::ModelSpec& spec, int64_t latent_size,
                   int64_t output_size)
    : width_(spec.hidden_size),
      time_first_(unit, "head.time.0", 2 * kFrequencies, width_, Linear::Bias::kYes),
      time_second_(unit, "head.time.1", width_, width_, Linear::Bias::kYes),
      condition_(unit, "head.condition", width_, width_, Linear::Bias::kYes),
      input_(unit, "head.input", latent_size, width_, Linear::Bias::kYes),
      output_modulation_(unit, "head.output_modulation", width_, 2 * width_, Linear::Bias::kYes,
                         InitKind::kZero),
      output_(unit, "head.output", width_, output_size, Linear::Bias::kYes, InitKind::kZero) {
  for (int64_t i = 0; i < spec.head_layers; ++i) {
    blocks_.emplace_back(unit, "head.blocks." + std::to_string(i), width_);
  }
}

at::Tensor Denoiser::operator()(const at::Tensor& noisy, const at::Tensor& times,
                                const at::Tensor& hidden) const {
  const at::Tensor time = time_second_(at::silu(time_first_(Sinusoids(times))));
  const at::Tensor y =
      at::silu(time.view({times.size(0), times.size(1), width_}) + condition_(hidden));
  at::Tensor state = ApplyLinear(input_, noisy);
  for (const DenoiserBlock& block : blocks_) state = block(state, y);
  const std::vector<at::Tensor> parts = at::chunk(ApplyLinear(output_modulation_, y), 2, -1);
  state = at::layer_norm(state, {width_}, {}, {}, kLayerNormEpsilon);
  return ApplyLinear(output_, Modulate(state, parts[0], parts[1]));
}

DenoisingTasks DrawDenoisingTasks(const Posterior& next, int64_t draws, const NoiseRows& noise) {
  const int64_t all = next.mean.size(0), latent = next.mean.size(1);
  const int64_t positions = all / static_cast<int64_t>(noise.rows.size());
  // [rows, draws, positions, ...] -> [draws, rows * positions, ...]
  const auto by_draw = [&](const at::Tensor& numbers) {
    return numbers.transpose(0, 1).reshape({draws, all, -1});
  };
  const std::vector<int64_t> shape = {draws, positions, latent};
  const c10::Device device = next.mean.device();
  DenoisingTasks tasks;
  tasks.target =
      next.mean + at::exp(next.log_std) * by_draw(noise.Normal(shape, device, kTargetNumbers));
  tasks.noise = by_draw(noise.Normal(shape, device));
  tasks.times = by_draw(noise.Uniform({draws, positions, 1}, device, kTimeNumbers)).squeeze(2);
  return tasks;
}

}  // namespace halcyon::model
