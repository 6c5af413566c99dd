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
  const DenoisingTasks tasks = DrawDenoisingTasks(next, spec_.samples, noise);
  const at::Tensor times = tasks.times.unsqueeze(2);
  const at::Tensor noisy = (1 - times) * tasks.noise + times * tasks.target;
  const at::Tensor velocity = Velocity(noisy, tasks.times, hidden.flatten(0, 1));
  return {(velocity - (tasks.target - tasks.noise)).square().mean(2).mean(0), {}};
}

at::Tensor FlowHead::Solve(const at::Tensor& start, const at::Tensor& hidden,
                           jobs::FlowSolver solver, int64_t steps) const {
  const double width = 1.0 / static_cast<double>(steps);
  at::Tensor state = start;
  for (int64_t step = 0; step < steps; ++step) {
    const at::Tensor time =
        at::full({1, 1}, static_cast<double>(step) / static_cast<double>(steps), start.options());
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
  const at::Tensor start = noise
                               .Normal({count, positions, latent_size_}, hidden.device(),
                                       first * positions * latent_size_)
                               .transpose(0, 1)
                               .reshape({count, rows * positions, latent_size_});
  return Solve(start, hidden.reshape({rows * positions, -1}), spec_.flow_solver, spec_.flow_steps)
      .view({count, rows, positions, latent_size_});
}

}  // namespace halcyon::model
