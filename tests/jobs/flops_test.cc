#include "jobs/flops.h"

#include <gtest/gtest.h>

namespace halcyon::jobs {
namespace {

// Sizes that are all different, so that none stands in for another.
JobSpec Odd() {
  JobSpec spec;
  spec.autoencoder.chunk_size = 3;
  spec.autoencoder.latent_size = 5;
  spec.autoencoder.hidden_size = 7;
  spec.autoencoder.intermediate_size = 11;
  spec.autoencoder.encoder_layers = 2;
  spec.autoencoder.decoder_layers = 2;
  spec.autoencoder.train.batch = 13;
  spec.model.hidden_size = 6;
  spec.model.attention_heads = 3;
  spec.model.key_value_heads = 1;
  spec.model.intermediate_size = 17;
  spec.model.layers = 2;
  spec.model.head_layers = 2;
  spec.model.noise_size = 19;
  spec.model.samples = 4;
  spec.model.window_chunks = 10;
  spec.train.batch = 23;
  return spec;
}

// Multiplications of the forward pass, product by product as the networks make them.
TEST(Flops, OfTheAutoencoder) {
  const double mlp = 3 * 7 * 11;
  const double chunk = 3 * mlp + 21 * 7 + mlp +
                       7 * 10  // encoder: tokens, squeeze, chunk, posterior
                       + 5 * 7 + mlp + 7 * 21 + 3 * mlp  // decoder: latent, chunk, expand, tokens
                       + 3 * 7 * 100;                    // logits of three tokens
  EXPECT_DOUBLE_EQ(StepFlops(Odd(), StageKind::kAutoencoder, 100), 6.0 * 13 * chunk);
}

// Forward alone.
TEST(Flops, OfEncodingAChunk) {
  const double mlp = 3 * 7 * 11;
  const jobs::AutoencoderSpec spec = Odd().autoencoder;
  EXPECT_DOUBLE_EQ(EncodingFlops(spec, /*token_states_kept=*/false),
                   2.0 * (3 * mlp + 21 * 7 + mlp + 7 * 10));
  EXPECT_DOUBLE_EQ(EncodingFlops(spec, /*token_states_kept=*/true), 2.0 * (21 * 7 + mlp + 7 * 10));
}

TEST(Flops, OfCalm) {
  const double seen = 3 * 6;  // discrete input: the embeddings of a chunk
  const double input = seen * 12 + 12 * 6;
  // query and output; key and value of one head of two; nine steps see five on average.
  const double block = 2 * 36 + 2 * 6 * 2 + 2 * 6 * 5 + 3 * 6 * 17;
  const double shared = 36 + 2 * 36;  // condition; its half of each mix
  const double own = 19 * 6 + 2 * (36 + 36 + 72 + 36) + 36 + 6 * 5;
  const double step = input + 2 * block + shared + 4 * own;
  EXPECT_DOUBLE_EQ(StepFlops(Odd(), StageKind::kModel, 100), 6.0 * 23 * 9 * step);
}

TEST(Flops, OfTheBaseline) {
  JobSpec spec = Odd();
  spec.model.head = HeadKind::kSoftmax;
  // 30 tokens, 29 predictions, which see 15 on average.
  const double block = 2 * 36 + 2 * 6 * 2 + 2 * 6 * 15 + 3 * 6 * 17;
  EXPECT_DOUBLE_EQ(StepFlops(spec, StageKind::kModel, 100), 6.0 * 23 * 29 * (2 * block + 600));
}

TEST(Flops, OfTheDenoisingHeads) {
  JobSpec spec = Odd();
  const double energy = StepFlops(spec, StageKind::kModel, 100);
  spec.model.head = HeadKind::kFlow;
  const double flow = StepFlops(spec, StageKind::kModel, 100);
  const double task = 256 * 6 + 36 + 5 * 6 + 2 * (2 * 36 + 6 * 18) + 6 * 12 + 6 * 5;
  const double energy_head = 36 + 2 * 36 + 4 * (19 * 6 + 2 * (36 + 36 + 72 + 36) + 36 + 6 * 5);
  EXPECT_NEAR(flow - energy, 6.0 * 23 * 9 * (36 + 4 * task - energy_head), 1e-6);
  spec.model.head = HeadKind::kDiffusion;
  EXPECT_NEAR(StepFlops(spec, StageKind::kModel, 100) - flow, 6.0 * 23 * 9 * 4 * 30, 1e-6)
      << "a fraction of the variance for each element, too";
}

}  // namespace
}  // namespace halcyon::jobs
