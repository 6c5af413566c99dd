#include "jobs/flops.h"

#include "base/check.h"

namespace halcyon::jobs {
namespace {

// Numbers that the denoising heads embed a time in.
constexpr double kTimeWidth = 256;
// Backward computes the gradient of both factors of each product.
constexpr double kForwardAndBackward = 3;

// Forward, of one row: weights of its products, twice.
double Product(double in, double out) { return 2 * in * out; }
double MlpProducts(double width, double inner) { return 3 * Product(width, inner); }

// Of one step in a sequence of `steps`.
double BackboneProducts(const ModelSpec& model, double steps) {
  const double width = model.hidden_size;
  const auto shared = static_cast<double>(model.key_value_heads == 0 ? model.attention_heads
                                                                     : model.key_value_heads);
  const double key_value = width / static_cast<double>(model.attention_heads) * shared;
  const double projections = 2 * Product(width, width) + 2 * Product(width, key_value);
  // Scores and the sum of values, over the (steps + 1) / 2 steps that one sees on average.
  const double attention = 2 * Product(width, (steps + 1) / 2);
  return static_cast<double>(model.layers) *
         (projections + attention + MlpProducts(width, model.intermediate_size));
}

// Of one predicted latent.
double HeadProducts(const ModelSpec& model, double latent) {
  const double width = model.hidden_size;
  const auto layers = static_cast<double>(model.head_layers);
  const auto samples = static_cast<double>(model.samples);
  if (model.head == HeadKind::kEnergy) {
    // The condition's products are shared by a position's samples.
    const double shared = Product(width, width) * (1 + layers);
    const double block =
        2 * Product(width, width) + Product(width, 2 * width) + Product(width, width);
    const double own = Product(model.noise_size, width) + layers * block + Product(width, width) +
                       Product(width, latent);
    return shared + samples * own;
  }
  const double output = model.head == HeadKind::kFlow ? latent : 2 * latent;
  const double block = 2 * Product(width, width) + Product(width, 3 * width);
  const double own = Product(kTimeWidth, width) + Product(width, width) + Product(latent, width) +
                     layers * block + Product(width, 2 * width) + Product(width, output);
  return Product(width, width) + samples * own;
}

double SampleProducts(const JobSpec& spec, double vocab_size) {
  const ModelSpec& model = spec.model;
  const double width = model.hidden_size;
  const auto chunks = static_cast<double>(model.window_chunks);
  const auto chunk = static_cast<double>(spec.autoencoder.chunk_size);
  if (model.head == HeadKind::kSoftmax) {
    const double steps = chunks * chunk - 1;
    return steps * (BackboneProducts(model, steps) + Product(width, vocab_size));
  }
  const double steps = chunks - 1;
  const auto latent = static_cast<double>(spec.autoencoder.latent_size);
  const double seen = (model.input != InputKind::kContinuous ? chunk * width : 0) +
                      (model.input != InputKind::kDiscrete ? latent : 0);
  const double input = Product(seen, 2 * width) + Product(2 * width, width);
  return steps * (input + BackboneProducts(model, steps) + HeadProducts(model, latent));
}

// Layers of one chunk, `of_tokens` of them on its tokens and the others on the chunk, and the
// product between the two kinds.
double LayerProducts(const AutoencoderSpec& spec, int64_t layers, int64_t of_tokens) {
  const double width = spec.hidden_size;
  const auto chunk = static_cast<double>(spec.chunk_size);
  const auto rows =
      static_cast<double>(of_tokens) * chunk + static_cast<double>(layers - of_tokens);
  return rows * MlpProducts(width, spec.intermediate_size) + Product(chunk * width, width);
}

// Of one chunk.
double EncoderProducts(const AutoencoderSpec& spec) {
  const auto latent = static_cast<double>(spec.latent_size);
  return LayerProducts(spec, spec.encoder_layers, spec.encoder_layers / 2) +
         Product(spec.hidden_size, (spec.variational ? 2 : 1) * latent);
}
double DecoderProducts(const AutoencoderSpec& spec, double vocab_size) {
  const double width = spec.hidden_size;
  const int64_t of_tokens = spec.decoder_layers - spec.decoder_layers / 2;
  return LayerProducts(spec, spec.decoder_layers, of_tokens) + Product(spec.latent_size, width) +
         static_cast<double>(spec.chunk_size) * Product(width, vocab_size);
}
double ChunkProducts(const AutoencoderSpec& spec, double vocab_size) {
  return EncoderProducts(spec) + DecoderProducts(spec, vocab_size);
}

}  // namespace

double StepFlops(const JobSpec& spec, StageKind kind, int64_t vocab_size) {
  HALCYON_CHECK(kind == StageKind::kAutoencoder || kind == StageKind::kModel);
  const auto vocabulary = static_cast<double>(vocab_size);
  const bool is_model = kind == StageKind::kModel;
  const auto batch =
      static_cast<double>(is_model ? spec.train.batch : spec.autoencoder.train.batch);
  return kForwardAndBackward * batch *
         (is_model ? SampleProducts(spec, vocabulary)
                   : ChunkProducts(spec.autoencoder, vocabulary));
}

double EncodingFlops(const AutoencoderSpec& spec, bool token_states_kept) {
  const auto token_layers = static_cast<double>(spec.encoder_layers / 2 * spec.chunk_size);
  return EncoderProducts(spec) -
         (token_states_kept ? token_layers * MlpProducts(spec.hidden_size, spec.intermediate_size)
                            : 0);
}

}  // namespace halcyon::jobs
