// Names, counts and shapes of the published CALM-M and its autoencoder.
#include "model/reference/reference_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "jobs/presets.h"

namespace halcyon::model {
namespace {

using ::testing::ElementsAre;

// Name there -> shape.
std::map<std::string, std::vector<int64_t>> ByName(const std::vector<ReferenceTensor>& tensors) {
  std::map<std::string, std::vector<int64_t>> names;
  for (const ReferenceTensor& tensor : tensors) {
    for (const std::string& name : tensor.names) {
      EXPECT_TRUE(names.emplace(name, tensor.shape).second) << name;
    }
  }
  return names;
}

ReferenceAutoencoder PublishedAutoencoder() {
  ReferenceAutoencoder autoencoder{.spec = jobs::PaperAutoencoder()};
  autoencoder.spec.token_dropout_rule = jobs::TokenDropoutRule::kZeroId;
  autoencoder.vocab_size = 128257;
  return autoencoder;
}

ReferenceModel PublishedModel() {
  ReferenceModel model{jobs::ModelSpec(), 4, 128, 128257};
  model.spec.hidden_size = 1024;
  model.spec.intermediate_size = 2752;
  model.spec.layers = 16;
  model.spec.attention_heads = 16;
  model.spec.head_layers = 4;
  return model;
}

// Not what a job without settings has.
TEST(ReferenceConfig, WhatIsLeftOutIsAsPublished) {
  const auto autoencoder = AutoencoderFromConfig({{"vocab_size", 128257}});
  ASSERT_TRUE(autoencoder.ok()) << autoencoder.status();
  EXPECT_EQ(autoencoder->spec.latent_size, 128);
  EXPECT_EQ(autoencoder->spec.hidden_size, 512);
  EXPECT_EQ(autoencoder->spec.intermediate_size, 1280);
  EXPECT_EQ(autoencoder->spec.init_std, 0.02);
  const auto model = ModelFromConfig(ReferenceKind::kEnergy,
                                     {{"vocab_size", 128257},
                                      {"hidden_size", 1024},
                                      {"intermediate_size", 2752},
                                      {"num_hidden_layers", 16},
                                      {"num_attention_heads", 16}},
                                     /*has_output=*/false);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->latent_size, 128);
  EXPECT_EQ(model->spec.window_chunks, 2048);
  EXPECT_EQ(model->spec.init_std, 0.02);
}

TEST(ReferenceKeys, TheAutoencoderHas28KeysOf27Tensors) {
  const auto tensors = ReferenceTensors(PublishedAutoencoder(), "");
  EXPECT_EQ(tensors.size(), 27u);
  auto names = ByName(tensors);
  EXPECT_EQ(names.size(), 28u);
  EXPECT_THAT(names["decoder.lm_head_weight"], ElementsAre(128257, 512));
  EXPECT_THAT(names["encoder.squeeze_layer.weight"], ElementsAre(512, 2048));
  EXPECT_THAT(names["encoder.hidden_to_latent.weight"], ElementsAre(256, 512));
  EXPECT_THAT(names["decoder.decoder_layers.1.mlp.down_proj.weight"], ElementsAre(512, 1280));
  EXPECT_THAT(names["decoder.expand_layer.bias"], ElementsAre(2048));
}

TEST(ReferenceKeys, CalmMHas288KeysOf233Tensors) {
  auto tensors = ReferenceTensors(PublishedModel());
  const auto autoencoder = ReferenceTensors(PublishedAutoencoder(), kAutoencoderPrefix);
  tensors.insert(tensors.end(), autoencoder.begin(), autoencoder.end());
  EXPECT_EQ(tensors.size(), 233u);
  auto names = ByName(tensors);
  EXPECT_EQ(names.size(), 288u);
  EXPECT_THAT(names["ae_model.encoder.norm.weight"], ElementsAre(512));
  EXPECT_THAT(names["transformer.layers.15.self_attn.o_proj.weight"], ElementsAre(1024, 1024));
  EXPECT_THAT(names["transformer.layers.0.mlp.down_proj.weight"], ElementsAre(1024, 2752));
  EXPECT_THAT(names["embed_proj.0.weight"], ElementsAre(2048, 4096));
  EXPECT_THAT(names["embed_proj.3.bias"], ElementsAre(1024));
  EXPECT_THAT(names["mlp_generator.noise_embd.weight"], ElementsAre(1024, 64));
  EXPECT_THAT(names["mlp_generator.mlp_blocks.3.linears.0.weight"], ElementsAre(1024, 2048));
  EXPECT_THAT(names["generative_head.mlp_blocks.0.linears.4.weight"], ElementsAre(2048, 1024));
  EXPECT_THAT(names["generative_head.final_layer.linears.2.weight"], ElementsAre(128, 1024));
}

TEST(ReferenceKeys, FlowAndDiffusionDifferInTheirLastLayer) {
  ReferenceModel model = PublishedModel();
  model.spec.head = jobs::HeadKind::kFlow;
  auto flow = ByName(ReferenceTensors(model));
  model.spec.head = jobs::HeadKind::kDiffusion;
  auto diffusion = ByName(ReferenceTensors(model));
  const std::string net = "generative_head.net.";
  EXPECT_THAT(flow[net + "final_layer.linear.weight"], ElementsAre(128, 1024));
  EXPECT_THAT(diffusion[net + "final_layer.linear.weight"], ElementsAre(256, 1024));
  EXPECT_THAT(flow[net + "res_blocks.2.adaLN_modulation.1.weight"], ElementsAre(3072, 1024));
  EXPECT_THAT(flow[net + "time_embed.mlp.0.weight"], ElementsAre(1024, 256));
  EXPECT_EQ(flow.size(), diffusion.size());
}

TEST(ReferenceKeys, ATiedBaselineHasItsTableTwice) {
  ReferenceModel model = PublishedModel();
  model.spec.head = jobs::HeadKind::kSoftmax;
  model.spec.key_value_heads = 4;
  auto untied = ByName(ReferenceTensors(model));
  model.spec.tie_embeddings = true;
  const auto tensors = ReferenceTensors(model);
  auto tied = ByName(tensors);
  EXPECT_EQ(untied.size(), tied.size());
  EXPECT_EQ(tensors.size() + 1, tied.size());
  EXPECT_THAT(tied["lm_head.weight"], ElementsAre(128257, 1024));
  EXPECT_THAT(tied["model.layers.3.self_attn.k_proj.weight"], ElementsAre(256, 1024));
}

}  // namespace
}  // namespace halcyon::model
