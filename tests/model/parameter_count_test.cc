// The estimate of a job's parameters against the networks themselves.
#include <gtest/gtest.h>

#include "jobs/estimate.h"
#include "model/autoencoder.h"
#include "model/baseline_model.h"
#include "model/calm_model.h"

namespace halcyon::model {
namespace {

uint64_t Count(const std::vector<Unit*>& units) {
  uint64_t count = 0;
  for (const Unit* unit : units) count += static_cast<uint64_t>(unit->numel());
  return count;
}

// All sizes differ, so that none can stand in for another.
jobs::JobSpec UnequalSizes() {
  jobs::JobSpec spec;
  spec.autoencoder.chunk_size = 3;
  spec.autoencoder.latent_size = 5;
  spec.autoencoder.hidden_size = 14;
  spec.autoencoder.intermediate_size = 22;
  spec.autoencoder.encoder_layers = 3;
  spec.autoencoder.decoder_layers = 2;
  spec.model.hidden_size = 24;
  spec.model.intermediate_size = 34;
  spec.model.layers = 2;
  spec.model.attention_heads = 4;
  spec.model.head_layers = 3;
  spec.model.noise_size = 7;
  return spec;
}

constexpr int64_t kCountedVocabulary = 301;

TEST(ParameterCount, OfAutoencoders) {
  for (const bool variational : {true, false}) {
    for (const auto rule : {jobs::TokenDropoutRule::kMask, jobs::TokenDropoutRule::kZeroId}) {
      jobs::JobSpec spec = UnequalSizes();
      spec.autoencoder.variational = variational;
      spec.autoencoder.token_dropout_rule = rule;
      Autoencoder network(spec.autoencoder, kCountedVocabulary);
      EXPECT_EQ(jobs::EstimateTraining(spec, kCountedVocabulary)[0].parameters,
                Count(network.units()));
    }
  }
}

TEST(ParameterCount, OfLanguageModels) {
  for (const auto head :
       {jobs::HeadKind::kEnergy, jobs::HeadKind::kDiffusion, jobs::HeadKind::kFlow}) {
    for (const auto input :
         {jobs::InputKind::kDiscrete, jobs::InputKind::kContinuous, jobs::InputKind::kBoth}) {
      for (const int64_t key_value_heads : {0, 2}) {
        jobs::JobSpec spec = UnequalSizes();
        spec.model.head = head;
        spec.model.input = input;
        spec.model.key_value_heads = key_value_heads;
        CalmModel network(spec.model, spec.autoencoder.chunk_size, spec.autoencoder.latent_size,
                          kCountedVocabulary);
        EXPECT_EQ(jobs::EstimateTraining(spec, kCountedVocabulary)[1].parameters,
                  Count(network.units()))
            << static_cast<int>(head) << static_cast<int>(input) << key_value_heads;
      }
    }
  }
}

TEST(ParameterCount, OfBaselines) {
  for (const bool tied : {false, true}) {
    jobs::JobSpec spec = UnequalSizes();
    spec.model.head = jobs::HeadKind::kSoftmax;
    spec.model.tie_embeddings = tied;
    BaselineModel network(spec.model, kCountedVocabulary);
    EXPECT_EQ(jobs::EstimateTraining(spec, kCountedVocabulary)[0].parameters,
              Count(network.units()));
  }
}

}  // namespace
}  // namespace halcyon::model
