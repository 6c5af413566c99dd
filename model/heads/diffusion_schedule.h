// The noise schedule of a diffusion process (Nichol and Dhariwal, "Improved denoising diffusion
// probabilistic models", section 3.2: cosine, betas capped at 0.999) and what follows from it at
// each step. Pure numbers.
#ifndef HALCYON_MODEL_HEADS_DIFFUSION_SCHEDULE_H_
#define HALCYON_MODEL_HEADS_DIFFUSION_SCHEDULE_H_

#include <cstdint>
#include <vector>

namespace halcyon::model {

inline constexpr int64_t kDiffusionSteps = 1000;

// Index 0 is the least noisy step. x_t = sqrt(signal) z + sqrt(1 - signal) noise.
struct DiffusionSchedule {
  std::vector<int64_t> times;         // the step of the whole process that each one is
  std::vector<double> signal;         // abar_t, the product of 1 - beta
  std::vector<double> log_beta;       // the largest variance of a step back
  std::vector<double> log_posterior;  // the smallest: of q(x_{t-1} | x_t, z); at 0 that of step 1
  // E[x_{t-1} | x_t, z] = from_latent * z + from_noisy * x_t.
  std::vector<double> from_latent, from_noisy;
};

// All 1000 steps, or `kept` of them, round(i * 999 / (kept - 1)), as a process of their own.
// REQUIRES: 2 <= kept <= 1000.
DiffusionSchedule CosineSchedule(int64_t kept);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_HEADS_DIFFUSION_SCHEDULE_H_
