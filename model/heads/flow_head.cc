#include "model/heads/flow_head.h"

#include <ATen/ATen.h>

namespace halcyon::model {

FlowHead::FlowHead(Unit& unit, const jobs::ModelSpec& spec, int64_t latent_size)
    : spec_(spec), latent_size_(latent_size), network_(unit, spec, latent_size, latent_size) {}

at::Tensor FlowHead::Velocity(const at::Tensor& noisy, const at::Tensor& times,
                              const at::Tensor& hidden) const {
  return network_(noisy, (times * 1000).to(at::kLong), hidden);
}

LatentHead::Loss FlowHead::TrainingLoss(const at::Tensor& hidden, const Posterior& next,
                                        const NoiseRows& noise) const {
  const int64_t rows = hidden.size(0), positions = hidden.size(1), draws = spec_.samples;
  // [rows, draws, positions, ...] -> [draws, rows * positions, ...]
  const auto by_draw = [&](const at::Tensor& numbers) {
    return numbers.transpose(0, 1).reshape({draws, rows * positions, -1});
  };
  const std::vector<int64_t> shape = {draws, positions, latent_size_};
  const at::Tensor target =
      next.mean + at::exp(next.log_std) * by_draw(noise.Normal(shape, kTargetNumbers));
  const at::Tensor start = by_draw(noise.Normal(shape));
  const at::Tensor times = by_draw(noise.Uniform({draws, positions, 1}, kTimeNumbers));
  const at::Tensor noisy = (1 - times) * start + times * target;
  const at::Tensor velocity =
      Velocity(noisy, times.squeeze(2), hidden.reshape({rows * positions, -1}));
  return {(velocity - (target - start)).square().mean(2).mean(0), {}};
}

at::Tensor FlowHead::Solve(const at::Tensor& start, const at::Tensor& hidden,
                           jobs::FlowSolver solver, int64_t steps) const {
  const double width = 1.0 / static_cast<double>(steps);
  at::Tensor state = start;
  for (int64_t step = 0; step < steps; ++step) {
    const at::Tensor time =
        at::full({1, 1}, static_cast<double>(step) / static_cast<double>(steps), at::kFloat);
    at::Tensor velocity = Velocity(state, time, hidden);
    if (solver == jobs::FlowSolver::kMidpoint) {
      velocity = Velocity(state + 0.5 * width * velocity, time + 0.5 * width, hidden);
    }
    state = state + width * velocity;
  }
  return state;
}

at::Tensor FlowHead::Sample(const at::Tensor& hidden, int64_t first, int64_t count,
                            const NoiseRows& noise) const {
  const int64_t rows = hidden.size(0), positions = hidden.size(1);
  const at::Tensor start =
      noise.Normal({count, positions, latent_size_}, first * positions * latent_size_)
          .transpose(0, 1)
          .reshape({count, rows * positions, latent_size_});
  return Solve(start, hidden.reshape({rows * positions, -1}), spec_.flow_solver, spec_.flow_steps)
      .view({count, rows, positions, latent_size_});
}

}  // namespace halcyon::model
