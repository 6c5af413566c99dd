#include "worker/scoring/reconstruction.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "model/noise.h"
#include "worker/scoring/evaluation_noise.h"

namespace halcyon::worker {
namespace {

using pipeline::Split;

// Chunks encoded at a time.
constexpr uint64_t kBlockChunks = 1024;
constexpr double kActiveVariance = 0.01;

// What tokens are decoded from.
constexpr int kSources = 3;  // mean, noisy, posterior
// All tokens, rare ones, and each class.
constexpr int kGroups = 2 + kTokenClasses;

struct ScoredBlock {
  at::Tensor tokens;                         // int64 [chunks, K], on the host as `decoded`
  model::Posterior posterior;                // [chunks, latent]
  std::array<at::Tensor, kSources> decoded;  // int64 [chunks, K]; undefined where not asked for
};

// Sums over the blocks of this rank, one flat array so that ranks add up in one go.
class Sums {
 public:
  Sums(int64_t latent_size, int64_t padding, const TokenClasses* classes)
      : latent_size_(latent_size), padding_(padding), classes_(classes) {
    values_.resize(kGroups * (1 + kSources) + 1 + 3 * static_cast<size_t>(latent_size));
  }

  void Add(const ScoredBlock& block) {
    const int64_t* tokens = block.tokens.const_data_ptr<int64_t>();
    std::array<const int64_t*, kSources> decoded{};
    for (int s = 0; s < kSources; ++s) {
      if (block.decoded[s].defined()) decoded[s] = block.decoded[s].const_data_ptr<int64_t>();
    }
    for (int64_t i = 0; i < block.tokens.numel(); ++i) {
      if (tokens[i] == padding_) continue;
      std::array<bool, kSources> right{};
      for (int s = 0; s < kSources; ++s) {
        right[s] = decoded[s] != nullptr && decoded[s][i] == tokens[i];
      }
      AddToken(0, right);
      if (classes_ == nullptr) continue;
      if (classes_->IsRare(tokens[i])) AddToken(1, right);
      AddToken(2 + static_cast<int>(classes_->Of(tokens[i])), right);
    }
    *Chunks() += static_cast<double>(block.tokens.size(0));
    AddDimensions(block.posterior);
  }

  absl::Status AddRanks(cluster::Collectives& collectives) {
    return collectives.AllReduceSum(values_);
  }

  Reconstruction Means() {
    Reconstruction result;
    result.all = AccuracyOf(0);
    result.rare = AccuracyOf(1);
    for (int c = 0; c < kTokenClasses; ++c) result.by_class[c] = AccuracyOf(2 + c);
    const double chunks = *Chunks();
    result.chunks = static_cast<uint64_t>(chunks);
    for (int64_t d = 0; d < latent_size_; ++d) {
      const double* sums = Chunks() + 1 + d;
      const double divisor = std::max(chunks, 1.0);
      const double mean = sums[latent_size_] / divisor;
      result.kl.push_back(sums[0] / divisor);
      result.variance.push_back(sums[2 * latent_size_] / divisor - mean * mean);
    }
    return result;
  }

 private:
  // Behind it: KL, mean and squared mean of each dimension.
  double* Chunks() { return values_.data() + kGroups * (1 + kSources); }

  void AddToken(int group, const std::array<bool, kSources>& right) {
    double* sums = values_.data() + group * (1 + kSources);
    sums[0] += 1;
    for (int s = 0; s < kSources; ++s) sums[1 + s] += right[s];
  }

  void AddDimensions(const model::Posterior& posterior) {
    const at::Tensor mean = posterior.mean.to(at::kDouble);
    const at::Tensor log_std = posterior.log_std.to(at::kDouble);
    const at::Tensor kl = 0.5 * (mean.square() + at::exp(2 * log_std) - 1 - 2 * log_std);
    const at::Tensor sums = at::stack({kl.sum(0), mean.sum(0), mean.square().sum(0)}).cpu();
    const double* from = sums.const_data_ptr<double>();
    double* to = Chunks() + 1;
    for (int64_t i = 0; i < sums.numel(); ++i) to[i] += from[i];
  }

  Reconstruction::Accuracy AccuracyOf(int group) const {
    const double* sums = values_.data() + group * (1 + kSources);
    const double divisor = std::max(sums[0], 1.0);
    return {static_cast<uint64_t>(sums[0]), sums[1] / divisor, sums[2] / divisor,
            sums[3] / divisor};
  }

  int64_t latent_size_, padding_;
  const TokenClasses* classes_;
  std::vector<double> values_;
};

uint64_t BlocksOf(uint64_t chunks) { return (chunks + kBlockChunks - 1) / kBlockChunks; }

absl::StatusOr<ScoredBlock> Reconstruct(model::Autoencoder& autoencoder,
                                        const pipeline::Packing& packing, uint64_t first,
                                        uint64_t count, const ReconstructionOptions& options) {
  const int64_t chunk_size = autoencoder.spec().chunk_size;
  std::vector<uint32_t> ids(count * chunk_size);
  RETURN_IF_ERROR(packing.Tokens(Split::kHeldout, first, ids));
  ScoredBlock block;
  block.tokens = at::empty({static_cast<int64_t>(count), chunk_size}, at::kLong);
  std::copy(ids.begin(), ids.end(), block.tokens.data_ptr<int64_t>());
  block.posterior = autoencoder.Encode(block.tokens);
  std::vector<uint64_t> chunks(count);
  std::iota(chunks.begin(), chunks.end(), first);
  const auto noise = [&](uint64_t purpose) {
    const model::NoiseRows rows{options.seed, NoiseStream::kEvaluation, purpose, chunks};
    return rows.Normal({autoencoder.spec().latent_size}, block.posterior.mean.device());
  };
  const at::Tensor& mean = block.posterior.mean;
  const at::Tensor noisy = mean + options.noise_std * noise(kFixedStdNoise);
  block.decoded = {autoencoder.DecodeTokens(mean).cpu(), autoencoder.DecodeTokens(noisy).cpu(),
                   at::Tensor()};
  if (!options.with_posterior || !autoencoder.spec().variational) return block;
  const at::Tensor drawn = mean + at::exp(block.posterior.log_std) * noise(kPosteriorNoise);
  block.decoded[2] = autoencoder.DecodeTokens(drawn).cpu();
  return block;
}

}  // namespace

int64_t Reconstruction::ActiveDimensions() const {
  return std::count_if(variance.begin(), variance.end(),
                       [](double value) { return value > kActiveVariance; });
}

absl::StatusOr<Reconstruction> MeasureReconstruction(model::Autoencoder& autoencoder,
                                                     const pipeline::Packing& packing,
                                                     const ReconstructionOptions& options,
                                                     cluster::Collectives& collectives) {
  c10::NoGradGuard no_grad;
  const uint64_t held_out = packing.Chunks(Split::kHeldout);
  const uint64_t chunks = std::min(options.chunks_max, held_out);
  const uint64_t blocks = BlocksOf(chunks);
  const uint64_t ranks = collectives.size();
  Sums sums(autoencoder.spec().latent_size, packing.rule().padding, options.classes);
  for (uint64_t turn = 0; turn * ranks < blocks; ++turn) {
    const uint64_t index = turn * ranks + collectives.rank();
    // A rank without a block of its own repeats the last one, to gather parameters when others do.
    const uint64_t block_index = std::min(index, blocks - 1);
    const uint64_t first = block_index * BlocksOf(held_out) / blocks * kBlockChunks;
    const uint64_t count = std::min({kBlockChunks, chunks, held_out - first});
    ASSIGN_OR_RETURN(const ScoredBlock block,
                     Reconstruct(autoencoder, packing, first, count, options));
    if (index < blocks) sums.Add(block);
  }
  RETURN_IF_ERROR(sums.AddRanks(collectives));
  return sums.Means();
}

}  // namespace halcyon::worker
