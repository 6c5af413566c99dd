#include "model/heads/diffusion_head.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "model/to_device.h"

namespace halcyon::model {
namespace {

// Each step of sampling takes the draws' numbers n from the row's stream: kStepNumbers of them from
// step * kStepNumbers on, so that 1000 steps end before the numbers that training uses, the next as
// many at the same place after 2^34 numbers, and so on.
constexpr uint64_t kStepNumbers = uint64_t{1} << 23;

// Numbers first ... first + count - 1 of a step: [rows, count].
at::Tensor StepNoise(const NoiseRows& noise, c10::Device device, uint64_t step, uint64_t first,
                     uint64_t count) {
  std::vector<at::Tensor> parts;
  for (uint64_t n = first; n < first + count;) {
    const uint64_t within = n % kStepNumbers;
    const uint64_t size = std::min(first + count - n, kStepNumbers - within);
    parts.push_back(
        noise.Normal({static_cast<int64_t>(size)}, device,
                     n / kStepNumbers * kDrawNumbersMax + step * kStepNumbers + within));
    n += size;
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts, 1);
}

// Entries of a table at `times` [...], with a last dimension of 1.
at::Tensor At(const std::vector<double>& table, const at::Tensor& times) {
  const at::Tensor values = ToDevice(at::tensor(table).to(at::kFloat), times.device());
  return values.index_select(0, times.flatten()).view(times.sizes()).unsqueeze(-1);
}

// The mean of a step back when the noise in `noisy` is `noise`.
at::Tensor StepMean(const DiffusionSchedule& schedule, const at::Tensor& index,
                    const at::Tensor& noisy, const at::Tensor& noise) {
  const at::Tensor signal = At(schedule.signal, index);
  const at::Tensor latent = (noisy - at::sqrt(1 - signal) * noise) / at::sqrt(signal);
  return At(schedule.from_latent, index) * latent + At(schedule.from_noisy, index) * noisy;
}

// Between the schedule's two bounds, by `fraction` from -1 to 1.
at::Tensor StepLogVariance(const DiffusionSchedule& schedule, const at::Tensor& index,
                           const at::Tensor& fraction) {
  const at::Tensor share = (fraction + 1) / 2;
  return share * At(schedule.log_beta, index) + (1 - share) * At(schedule.log_posterior, index);
}

// In bits, elementwise: the divergence of the true step back from the predicted one and, at step 0,
// where the true one is a point, the negative log density of the latent.
at::Tensor VariationalTerm(const DiffusionSchedule& schedule, const at::Tensor& index,
                           const at::Tensor& latent, const at::Tensor& noisy,
                           const at::Tensor& mean, const at::Tensor& log_variance) {
  const at::Tensor true_mean =
      At(schedule.from_latent, index) * latent + At(schedule.from_noisy, index) * noisy;
  const at::Tensor true_log_variance = At(schedule.log_posterior, index);
  const at::Tensor inverse = at::exp(-log_variance);
  const at::Tensor divergence =
      0.5 * (log_variance - true_log_variance - 1 + at::exp(true_log_variance) * inverse +
             (true_mean - mean).square() * inverse);
  const at::Tensor density =
      0.5 * (std::log(2 * std::numbers::pi) + log_variance + (latent - mean).square() * inverse);
  const at::Tensor is_first = index.unsqueeze(-1) == 0;
  return at::where(is_first, density, divergence) / std::numbers::ln2;
}

}  // namespace

DiffusionHead::DiffusionHead(Unit& unit, const jobs::ModelSpec& spec, int64_t latent_size)
    : spec_(spec),
      latent_size_(latent_size),
      network_(unit, spec, latent_size, 2 * latent_size),
      training_(CosineSchedule(kDiffusionSteps)),
      sampling_(CosineSchedule(spec.diffusion_steps)) {}

at::Tensor DiffusionHead::Predict(const at::Tensor& noisy, const at::Tensor& times,
                                  const at::Tensor& hidden) const {
  return network_(noisy, times, hidden);
}

LatentHead::Loss DiffusionHead::TrainingLoss(const at::Tensor& hidden, const Posterior& next,
                                             const NoiseRows& noise) const {
  const DenoisingTasks tasks = DrawDenoisingTasks(next, spec_.samples, noise);
  const at::Tensor times = (tasks.times * kDiffusionSteps).to(at::kLong);
  const at::Tensor signal = At(training_.signal, times);
  const at::Tensor noisy = at::sqrt(signal) * tasks.target + at::sqrt(1 - signal) * tasks.noise;
  const at::Tensor both = Predict(noisy, times, hidden.flatten(0, 1));
  const at::Tensor predicted = both.narrow(2, 0, latent_size_);
  const at::Tensor error = (predicted - tasks.noise).square().mean(2).mean(0);
  // The variance learns from the bound, the mean must not.
  const at::Tensor variational =
      VariationalTerm(training_, times, tasks.target, noisy,
                      StepMean(training_, times, noisy, predicted.detach()),
                      StepLogVariance(training_, times, both.narrow(2, latent_size_, latent_size_)))
          .mean(2)
          .mean(0);
  return {error + variational, {{"noise", error.detach()}, {"variational", variational.detach()}}};
}

at::Tensor DiffusionHead::Sample(const at::Tensor& hidden, int64_t first, int64_t count,
                                 const NoiseRows& noise) const {
  const int64_t rows = hidden.size(0), positions = hidden.size(1);
  const int64_t numbers = positions * latent_size_;
  const auto normal = [&](int64_t step) {
    return StepNoise(noise, hidden.device(), step, first * numbers, count * numbers)
        .view({rows, count, positions, latent_size_})
        .transpose(0, 1)
        .reshape({count, rows * positions, latent_size_});
  };
  const at::Tensor flat = hidden.reshape({rows * positions, -1});
  const int64_t steps = static_cast<int64_t>(sampling_.times.size());
  at::Tensor state = normal(0);
  const at::TensorOptions integers = state.options().dtype(at::kLong);
  for (int64_t step = 0; step < steps; ++step) {
    const int64_t place = steps - 1 - step;
    const at::Tensor index = at::full({1, 1}, place, integers);
    const at::Tensor both =
        Predict(state, at::full({1, 1}, sampling_.times[place], integers), flat);
    state = StepMean(sampling_, index, state, both.narrow(2, 0, latent_size_));
    if (place == 0) break;
    const at::Tensor log_variance =
        StepLogVariance(sampling_, index, both.narrow(2, latent_size_, latent_size_));
    state = state + at::exp(0.5 * log_variance) * normal(step + 1);
  }
  return state.view({count, rows, positions, latent_size_});
}

}  // namespace halcyon::model
