// What turns the backbone's hidden state into samples of the next latent: the energy head, and for
// comparison the diffusion and flow-matching heads (paper sections 3.3 and 6.4).
//
// Shapes: hidden [rows, positions, width], after the backbone's final norm. A row is one sequence
// with random numbers of its own; draws of a row are numbered, and draw i is the same however the
// draws are cut into calls (for a single position).
#ifndef HALCYON_MODEL_HEADS_LATENT_HEAD_H_
#define HALCYON_MODEL_HEADS_LATENT_HEAD_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "jobs/job_spec.h"
#include "model/noise.h"
#include "model/posterior.h"
#include "model/unit.h"

namespace halcyon::model {

// How a head divides the numbers of a row's stream: samples from 0, below kDrawNumbersMax, and for
// training the draws of the target and the times from here. jobs/spec_checks.cc keeps the sizes of
// a job within these bounds.
inline constexpr uint64_t kDrawNumbersMax = uint64_t{1} << 34;
inline constexpr uint64_t kTargetNumbers = uint64_t{1} << 33;
inline constexpr uint64_t kTimeNumbers = kTargetNumbers + (uint64_t{1} << 32);

class LatentHead {
 public:
  virtual ~LatentHead() = default;

  struct Loss {
    at::Tensor loss;  // [rows * positions], differentiable in hidden and the parameters
    // Parts of it, by name, [rows * positions] each, detached.
    std::vector<std::pair<std::string, at::Tensor>> terms;
  };
  // next: [rows * positions, latent], the posterior of the chunk to be predicted; contiguous.
  virtual Loss TrainingLoss(const at::Tensor& hidden, const Posterior& next,
                            const NoiseRows& noise) const = 0;

  // Random numbers that a draw takes at each position.
  virtual int64_t NumbersPerDraw() const = 0;

  // Draws first ... first + count - 1: [count, rows, positions, latent].
  virtual at::Tensor Sample(const at::Tensor& hidden, int64_t first, int64_t count,
                            const NoiseRows& noise) const = 0;

  // kInvalidArgument when that many draws at that many positions need more random numbers than a
  // row has.
  absl::Status CheckDraws(int64_t draws, int64_t positions) const;
};

// The head that the spec names. REQUIRES: not softmax.
std::unique_ptr<LatentHead> MakeLatentHead(Unit& unit, const jobs::ModelSpec& spec,
                                           int64_t latent_size);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_HEADS_LATENT_HEAD_H_
