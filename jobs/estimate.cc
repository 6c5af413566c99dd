#include "jobs/estimate.h"

#include <fmt/format.h>

#include <algorithm>

namespace halcyon::jobs {
namespace {

constexpr double kFloatBytes = 4;
// Weight, gradient, and the two running averages of AdamW.
constexpr double kTrainedBytes = 4 * kFloatBytes;
// Weight and the two averages.
constexpr double kSavedBytes = 3 * kFloatBytes;
// Width of the time embedding of the denoising heads.
constexpr uint64_t kTimeNumbers = 256;

uint64_t Linear(uint64_t in, uint64_t out) { return in * out + out; }
uint64_t LayerNorm(uint64_t width) { return 2 * width; }
uint64_t GatedMlp(uint64_t width, uint64_t inner) { return width + 3 * width * inner; }

uint64_t AutoencoderParameters(const AutoencoderSpec& spec, uint64_t vocab_size) {
  const uint64_t width = spec.hidden_size, latent = spec.latent_size, chunk = spec.chunk_size;
  const uint64_t layers = spec.encoder_layers + spec.decoder_layers;
  const uint64_t mask = spec.token_dropout_rule == TokenDropoutRule::kMask ? width : 0;
  return vocab_size * width + mask + layers * GatedMlp(width, spec.intermediate_size) +
         Linear(chunk * width, width) + width + Linear(width, (spec.variational ? 2 : 1) * latent) +
         Linear(latent, width) + Linear(width, chunk * width) + width;
}

uint64_t BackboneParameters(const ModelSpec& spec) {
  const uint64_t width = spec.hidden_size, heads = spec.attention_heads;
  const uint64_t shared = spec.key_value_heads == 0 ? heads : spec.key_value_heads;
  const uint64_t key_value = width / heads * shared;
  const uint64_t block =
      width + 2 * width * width + 2 * width * key_value + GatedMlp(width, spec.intermediate_size);
  return spec.layers * block + width;  // with the final norm
}

uint64_t EnergyHeadParameters(const ModelSpec& spec, uint64_t latent) {
  const uint64_t width = spec.hidden_size, layers = spec.head_layers;
  const uint64_t block = LayerNorm(width) + Linear(2 * width, width) + Linear(width, width) +
                         Linear(width, 2 * width) + Linear(width, width);
  return Linear(spec.noise_size, width) + Linear(width, width) + 3 * LayerNorm(width) +
         layers * block + Linear(width, width) + Linear(width, latent);
}

uint64_t DenoiserParameters(const ModelSpec& spec, uint64_t latent, uint64_t output) {
  const uint64_t width = spec.hidden_size, layers = spec.head_layers;
  const uint64_t block = LayerNorm(width) + 2 * Linear(width, width) + Linear(width, 3 * width);
  return Linear(kTimeNumbers, width) + 2 * Linear(width, width) + Linear(latent, width) +
         layers * block + Linear(width, 2 * width) + Linear(width, output);
}

uint64_t ModelParameters(const JobSpec& spec, uint64_t vocab_size) {
  const ModelSpec& model = spec.model;
  const uint64_t width = model.hidden_size, latent = spec.autoencoder.latent_size;
  const uint64_t table = vocab_size * width;
  if (model.head == HeadKind::kSoftmax) {
    return table + BackboneParameters(model) + (model.tie_embeddings ? 0 : table);
  }
  const bool sees_tokens = model.input != InputKind::kContinuous;
  const bool sees_latents = model.input != InputKind::kDiscrete;
  const uint64_t seen =
      (sees_tokens ? spec.autoencoder.chunk_size * width : 0) + (sees_latents ? latent : 0);
  const uint64_t input = (sees_tokens ? table : 0) + Linear(seen, 2 * width) +
                         Linear(2 * width, width) + LayerNorm(width);
  const uint64_t head = model.head == HeadKind::kEnergy ? EnergyHeadParameters(model, latent)
                        : model.head == HeadKind::kFlow
                            ? DenoiserParameters(model, latent, latent)
                            : DenoiserParameters(model, latent, 2 * latent);
  return input + BackboneParameters(model) + head;
}

// Samples of a forward pass on one rank.
double MicroBatch(const TrainSpec& train, int64_t ranks) {
  const int64_t of_rank = (train.batch + ranks - 1) / ranks;
  return static_cast<double>(train.micro_batch > 0 ? std::min(train.micro_batch, of_rank)
                                                   : of_rank);
}

// Numbers that a forward pass keeps on a rank for the backward pass, a lower bound: for each block
// three rows of its width and one of its inner width, for each sample in the head three rows a
// block. Logits are made in parts and not kept. In floating point: the largest sizes that a job
// file may ask for exceed 64 bits.
double AutoencoderActivations(const JobSpec& spec) {
  const AutoencoderSpec& autoencoder = spec.autoencoder;
  const double tokens = MicroBatch(autoencoder.train, spec.launch.ranks) * autoencoder.chunk_size;
  // Half of the layers work on chunks, half on tokens.
  const auto layers = (autoencoder.encoder_layers + autoencoder.decoder_layers) / 2;
  const double width = autoencoder.hidden_size + autoencoder.intermediate_size;
  return layers * tokens * width;
}

double ModelActivations(const JobSpec& spec) {
  const ModelSpec& model = spec.model;
  const bool is_baseline = model.head == HeadKind::kSoftmax;
  const double steps =
      model.window_chunks * (is_baseline ? spec.autoencoder.chunk_size : int64_t{1});
  const double places = MicroBatch(spec.train, spec.launch.ranks) * (steps - 1);
  const double width = model.hidden_size;
  // A recomputed block keeps its input; one at a time has all of its numbers.
  const auto recomputed = static_cast<double>(std::min(spec.launch.recompute, model.layers));
  const double whole = model.layers - recomputed + (recomputed > 0 ? 1 : 0);
  const double blocks =
      places * (whole * (3 * width + model.intermediate_size) + recomputed * width);
  if (is_baseline) return blocks;
  const double head = model.head_layers * 3 * width + spec.autoencoder.latent_size;
  return blocks + model.samples * places * head;
}

uint64_t Rounded(double bytes) {
  constexpr double kMost = 0x1p62;
  return static_cast<uint64_t>(std::min(bytes, kMost));
}

TrainingEstimate Estimate(StageKind kind, uint64_t parameters, double activations,
                          const TrainSpec& train, const JobSpec& spec) {
  TrainingEstimate estimate{.kind = kind, .parameters = parameters};
  const auto weights = static_cast<double>(parameters);
  const LaunchSpec& launch = spec.launch;
  double copies = kTrainedBytes;  // bytes a weight, over all ranks
  if (launch.sharding == Sharding::kNone) copies *= launch.ranks;
  if (launch.sharding == Sharding::kGradient) copies += kFloatBytes * launch.ranks;
  if (launch.accumulate == Accumulate::kLocal && train.micro_batch > 0) {
    copies += kFloatBytes * launch.ranks;
  }
  estimate.memory_bytes = Rounded(copies * weights + kFloatBytes * activations * launch.ranks);
  // The last step is saved, too; a new checkpoint is committed before an old one is removed.
  const int64_t saved = (train.steps + spec.checkpoint.every - 1) / spec.checkpoint.every;
  const auto at_a_time = static_cast<double>(std::min(saved, spec.checkpoint.keep + 1));
  estimate.disk_bytes = Rounded((kSavedBytes * at_a_time + kFloatBytes) * weights);
  return estimate;
}

}  // namespace

std::vector<TrainingEstimate> EstimateTraining(const JobSpec& spec, int64_t vocab_size) {
  std::vector<TrainingEstimate> estimates;
  const auto vocabulary = static_cast<uint64_t>(vocab_size);
  if (spec.model.head != HeadKind::kSoftmax) {
    estimates.push_back(Estimate(StageKind::kAutoencoder,
                                 AutoencoderParameters(spec.autoencoder, vocabulary),
                                 AutoencoderActivations(spec), spec.autoencoder.train, spec));
  }
  estimates.push_back(Estimate(StageKind::kModel, ModelParameters(spec, vocabulary),
                               ModelActivations(spec), spec.train, spec));
  return estimates;
}

int64_t VocabularyMin(const JobSpec& spec) {
  constexpr int64_t kWithoutMerges = 258;  // 256 bytes and 2 special tokens
  return std::min(kWithoutMerges, spec.tokenizer.vocab_size);
}

uint64_t TokenBytes(uint64_t tokens, int64_t vocab_size) {
  return tokens * (vocab_size <= 1 << 16 ? 2 : 4);
}

uint64_t LatentBytes(const JobSpec& spec, uint64_t chunks) {
  const uint64_t number_bytes = spec.data.latent_format == LatentFormat::kFloat32 ? 4 : 2;
  // A mean and a log_std.
  return chunks * static_cast<uint64_t>(spec.autoencoder.latent_size) * 2 * number_bytes;
}

std::string BytesText(uint64_t bytes) {
  constexpr const char* kUnits[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 || value >= 9.95 ? fmt::format("{:.0f} {}", value, kUnits[unit])
                                    : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace halcyon::jobs
