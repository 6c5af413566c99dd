// How well an autoencoder gives held-out tokens back, and what its latent's dimensions carry.
#ifndef HALCYON_WORKER_SCORING_RECONSTRUCTION_H_
#define HALCYON_WORKER_SCORING_RECONSTRUCTION_H_

#include <array>
#include <cstdint>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "cluster/collectives.h"
#include "model/autoencoder.h"
#include "pipeline/samples/packing.h"
#include "worker/scoring/token_classes.h"

namespace halcyon::worker {

// Of the held-out chunks: with K = 4 half a million tokens, of which the share is known to 0.005 %
// when it is 99.9 %, whatever the size of the corpus.
inline constexpr uint64_t kReconstructedChunksMax = 131'072;

struct ReconstructionOptions {
  // Of the held-out chunks, in blocks of 1024, evenly spaced.
  uint64_t chunks_max = kReconstructedChunksMax;
  double noise_std = 0.3;  // the paper's, for which it reports more than 99.9 % (section 2.2)
  uint64_t seed = 0;
  const TokenClasses* classes = nullptr;  // null: no figures by class
  bool with_posterior = true;             // false: draws of the posterior are not decoded
};

struct Reconstruction {
  // Shares of tokens that the decoder's argmax gives back; pads are left out.
  struct Accuracy {
    uint64_t tokens = 0;
    double mean = 0;       // from the posterior's mean
    double noisy = 0;      // from mean + noise_std * n, n ~ N(0, I)
    double posterior = 0;  // from a draw of the posterior, mean + exp(log_std) * n; 0 without one
  };
  Accuracy all, rare;
  std::array<Accuracy, kTokenClasses> by_class;  // by TokenClass

  uint64_t chunks = 0;
  // [latent_size] each, over chunks. KL(q || N(0, 1)) = (mean^2 + std^2 - 1 - 2 log_std) / 2 in
  // nats, its mean, without the clamp of training; not meaningful for a plain autoencoder.
  std::vector<double> kl;
  std::vector<double> variance;  // of the posterior's mean

  // Dimensions whose mean varies with the text: variance > 0.01 (Burda et al., "Importance Weighted
  // Autoencoders", ICLR 2016, section 5.1). The others carry nothing.
  int64_t ActiveDimensions() const;
};

// Collective: each rank measures its share, all return the same. No held-out chunks give 0 tokens.
absl::StatusOr<Reconstruction> MeasureReconstruction(model::Autoencoder& autoencoder,
                                                     const pipeline::Packing& packing,
                                                     const ReconstructionOptions& options,
                                                     cluster::Collectives& collectives);

// {"tokens", "chunks", "noise_std", "mean", "noisy", "posterior", "active_dimensions",
// "latent_size", "variance": [latent_size]}; for a variational autoencoder also {"kl": the sum,
// "kl_by_dimension": [latent_size]}; with classes also {"classes": {NAME or "rare": {"tokens",
// "mean", "noisy", "posterior"}}}. A plain autoencoder has no "posterior".
nlohmann::json ToJson(const Reconstruction& reconstruction, const ReconstructionOptions& options,
                      bool variational);

// What ToJson gave, for people: a table of accuracies and a line on the dimensions.
std::string ReconstructionText(const nlohmann::json& report);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_SCORING_RECONSTRUCTION_H_
