#include "model/autoencoder.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "jobs/presets.h"
#include "model/initialise.h"
#include "model/noise.h"
#include "tests/model/gradient_check.h"
#include "tests/model/network_oracle.h"

namespace halcyon::model {
namespace {

constexpr int64_t kVocab = 7;
constexpr int64_t kChunks = 5;
// Of a number of the encoder that makes its products in bfloat16, whose numbers are 2^-8 apart
// relative to them at least: some roundings one after another.
constexpr double kBFloat16Error = 1.0 / 32;

jobs::AutoencoderSpec SmallAutoencoder() {
  jobs::AutoencoderSpec spec;
  spec.chunk_size = 3;
  spec.latent_size = 4;
  spec.hidden_size = 6;
  spec.intermediate_size = 5;
  spec.encoder_layers = 2;
  spec.decoder_layers = 3;
  spec.token_dropout = 0.3;
  spec.latent_dropout = 0.25;
  spec.kl_weight = 0.1;
  spec.kl_clamp = 0.5;
  return spec;
}

class AutoencoderTest : public testing::Test {
 protected:
  explicit AutoencoderTest(const jobs::AutoencoderSpec& spec = SmallAutoencoder())
      : spec_(spec), autoencoder_(spec_, kVocab) {
    Randomise(autoencoder_.units(), 1);
    tokens_ = at::arange(kChunks * spec_.chunk_size).remainder(kVocab).view({kChunks, -1});
    const std::vector<uint64_t> samples = {0, 1, 2, 3, 4};
    noise_.token_dropout =
        NoiseRows{3, NoiseStream::kTokenDropout, 0, samples}.Uniform({spec_.chunk_size});
    noise_.posterior =
        NoiseRows{3, NoiseStream::kPosterior, 0, samples}.Normal({spec_.latent_size});
    noise_.latent_dropout =
        NoiseRows{3, NoiseStream::kLatentDropout, 0, samples}.Uniform({spec_.latent_size});
    weights_ = at::tensor({1.0f, 0.5f, 0.0f, 2.0f, 1.0f});
  }

  std::vector<int64_t> Chunk(int64_t chunk) const {
    std::vector<int64_t> tokens;
    for (int64_t k = 0; k < spec_.chunk_size; ++k) {
      tokens.push_back(tokens_[chunk][k].item<int64_t>());
    }
    return tokens;
  }

  struct OracleLoss {
    double total = 0, cross_entropy = 0, kl = 0, correct = 0;
  };
  OracleLoss LossOf(const NetworkOracle& net, int64_t chunk) const;
  OracleLoss TotalLoss(const NetworkOracle& net) const {
    OracleLoss sum;
    for (int64_t chunk = 0; chunk < kChunks; ++chunk) {
      const OracleLoss loss = LossOf(net, chunk);
      const double share = weights_[chunk].item<double>() / kDivisor;
      sum.total += share * loss.total;
      sum.cross_entropy += share * loss.cross_entropy;
      sum.kl += share * loss.kl;
      sum.correct += share * loss.correct;
    }
    return sum;
  }

  static constexpr double kDivisor = 4.5;
  jobs::AutoencoderSpec spec_;
  Autoencoder autoencoder_;
  at::Tensor tokens_, weights_;
  Autoencoder::Noise noise_;
};

AutoencoderTest::OracleLoss AutoencoderTest::LossOf(const NetworkOracle& net, int64_t chunk) const {
  const std::vector<int64_t> labels = Chunk(chunk);
  std::vector<int64_t> inputs = labels;
  for (int64_t k = 0; k < spec_.chunk_size; ++k) {
    if (noise_.token_dropout[chunk][k].item<double>() < spec_.token_dropout) {
      inputs[k] = spec_.token_dropout_rule == jobs::TokenDropoutRule::kMask ? -1 : 0;
    }
  }
  const OraclePosterior posterior = EncodeChunk(net, spec_, inputs);
  OracleLoss loss;
  Vector latent;
  for (int64_t i = 0; i < spec_.latent_size; ++i) {
    const double mean = posterior.mean[i];
    const double std = spec_.variational ? std::exp(posterior.log_std[i]) : 0;
    if (spec_.variational) {
      loss.kl +=
          std::max(spec_.kl_clamp, 0.5 * (mean * mean + std * std - 1 - 2 * posterior.log_std[i]));
    }
    const bool dropped = noise_.latent_dropout[chunk][i].item<double>() < spec_.latent_dropout;
    const double value = mean + std * noise_.posterior[chunk][i].item<double>();
    latent.push_back(dropped ? 0 : value / (1 - spec_.latent_dropout));
  }
  const std::vector<Vector> logits = DecodeLatent(net, spec_, latent);
  for (int64_t k = 0; k < spec_.chunk_size; ++k) {
    double sum = 0;
    for (const double logit : logits[k]) sum += std::exp(logit);
    loss.cross_entropy += (std::log(sum) - logits[k][labels[k]]) / spec_.chunk_size;
    const auto best = std::max_element(logits[k].begin(), logits[k].end()) - logits[k].begin();
    loss.correct += best == labels[k] ? 1.0 / spec_.chunk_size : 0;
  }
  loss.total = spec_.chunk_size * loss.cross_entropy + spec_.kl_weight * loss.kl;
  return loss;
}

TEST_F(AutoencoderTest, KeptStatesOfTokensGiveTheSameLatents) {
  const Posterior before = autoencoder_.Encode(tokens_);
  autoencoder_.KeepTokenStates();
  const Posterior after = autoencoder_.Encode(tokens_);
  EXPECT_TRUE(at::allclose(before.mean, after.mean, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(before.log_std, after.log_std, 1e-5, 1e-6));
  // They are what is used.
  for (Parameter& parameter : autoencoder_.units().at(0)->parameters()) {
    if (parameter.name == "embedding") parameter.value.detach().zero_();
  }
  EXPECT_TRUE(at::equal(autoencoder_.Encode(tokens_).mean, after.mean));
}

// A pass of training in bfloat16 gathers all parameters in it.
TEST_F(AutoencoderTest, EncodesInBFloat16AsANetworkOfItDoes) {
  const Posterior exact = autoencoder_.Encode(tokens_);
  const at::Tensor logits = autoencoder_.Decode(exact.mean);
  autoencoder_.EncodeIn(jobs::Precision::kBFloat16);
  const Posterior rounded = autoencoder_.Encode(tokens_);
  Autoencoder gathered(spec_, kVocab);
  Randomise(gathered.units(), 1);
  for (Parameter& parameter : gathered.units().at(0)->parameters()) {
    parameter.value = parameter.value.detach().to(at::kBFloat16);
  }
  const Posterior expected = gathered.Encode(tokens_);
  EXPECT_TRUE(at::equal(rounded.mean, expected.mean));
  EXPECT_TRUE(at::equal(rounded.log_std, expected.log_std));
  EXPECT_EQ(rounded.mean.scalar_type(), at::kFloat);

  EXPECT_FALSE(at::equal(rounded.mean, exact.mean));
  EXPECT_TRUE(at::allclose(rounded.mean, exact.mean, kBFloat16Error, kBFloat16Error));
  EXPECT_TRUE(at::allclose(rounded.log_std, exact.log_std, kBFloat16Error, kBFloat16Error));
  EXPECT_TRUE(at::equal(autoencoder_.Decode(exact.mean), logits));

  autoencoder_.KeepTokenStates();
  EXPECT_TRUE(at::allclose(autoencoder_.Encode(tokens_).mean, rounded.mean, kBFloat16Error,
                           kBFloat16Error));
}

TEST_F(AutoencoderTest, EncodesLikeTheOracle) {
  const NetworkOracle net(autoencoder_.units());
  const Posterior posterior = autoencoder_.Encode(tokens_);
  for (int64_t chunk = 0; chunk < kChunks; ++chunk) {
    const OraclePosterior expected = EncodeChunk(net, spec_, Chunk(chunk));
    for (int64_t i = 0; i < spec_.latent_size; ++i) {
      EXPECT_NEAR(posterior.mean[chunk][i].item<double>(), expected.mean[i], 1e-5);
      EXPECT_NEAR(posterior.log_std[chunk][i].item<double>(), expected.log_std[i], 1e-5);
    }
  }
}

TEST_F(AutoencoderTest, DecodesLikeTheOracle) {
  const NetworkOracle net(autoencoder_.units());
  const at::Tensor logits = autoencoder_.Decode(noise_.posterior);
  ASSERT_EQ(logits.sizes(), at::IntArrayRef({kChunks, spec_.chunk_size, kVocab}));
  for (int64_t chunk = 0; chunk < kChunks; ++chunk) {
    Vector latent;
    for (int64_t i = 0; i < spec_.latent_size; ++i) {
      latent.push_back(noise_.posterior[chunk][i].item<double>());
    }
    const std::vector<Vector> expected = DecodeLatent(net, spec_, latent);
    for (int64_t k = 0; k < spec_.chunk_size; ++k) {
      for (int64_t v = 0; v < kVocab; ++v) {
        EXPECT_NEAR(logits[chunk][k][v].item<double>(), expected[k][v], 1e-5);
      }
    }
  }
}

TEST_F(AutoencoderTest, LossMatchesTheOracle) {
  const Autoencoder::Loss loss = autoencoder_.TrainingLoss(tokens_, noise_, weights_, kDivisor);
  const OracleLoss expected = TotalLoss(NetworkOracle(autoencoder_.units()));
  EXPECT_NEAR(loss.total.item<double>(), expected.total, 1e-5);
  EXPECT_NEAR(loss.cross_entropy.item<double>(), expected.cross_entropy, 1e-5);
  EXPECT_NEAR(loss.kl.item<double>(), expected.kl, 1e-5);
  EXPECT_NEAR(loss.correct.item<double>(), expected.correct, 1e-6);
  EXPECT_FALSE(loss.cross_entropy.requires_grad() || loss.kl.requires_grad());
}

TEST_F(AutoencoderTest, GradientsMatchFiniteDifferences) {
  autoencoder_.TrainingLoss(tokens_, noise_, weights_, kDivisor).total.backward();
  ExpectGradientsMatch(autoencoder_.units(), NetworkOracle(autoencoder_.units()),
                       [&](const NetworkOracle& net) { return TotalLoss(net).total; });
}

struct Variant {
  const char* name;
  int64_t chunk_size;
  bool variational;
  jobs::TokenDropoutRule rule;
};

jobs::AutoencoderSpec SpecOf(const Variant& variant) {
  jobs::AutoencoderSpec spec = SmallAutoencoder();
  spec.chunk_size = variant.chunk_size;
  spec.variational = variant.variational;
  spec.token_dropout_rule = variant.rule;
  if (!variant.variational) spec.kl_weight = spec.kl_clamp = 0;
  return spec;
}

class AutoencoderVariants : public AutoencoderTest, public testing::WithParamInterface<Variant> {
 protected:
  AutoencoderVariants() : AutoencoderTest(SpecOf(GetParam())) {}
};

TEST_P(AutoencoderVariants, LossAndGradientsMatchTheOracle) {
  const Autoencoder::Loss loss = autoencoder_.TrainingLoss(tokens_, noise_, weights_, kDivisor);
  loss.total.backward();
  const NetworkOracle net(autoencoder_.units());
  const OracleLoss expected = TotalLoss(net);
  EXPECT_NEAR(loss.total.item<double>(), expected.total, 1e-5 * (1 + expected.total));
  EXPECT_NEAR(loss.kl.item<double>(), expected.kl, 1e-5 * (1 + expected.kl));
  ExpectGradientsMatch(autoencoder_.units(), net,
                       [&](const NetworkOracle& moved) { return TotalLoss(moved).total; });
  const Posterior posterior = autoencoder_.Encode(tokens_);
  const OraclePosterior first = EncodeChunk(net, spec_, Chunk(0));
  for (int64_t i = 0; i < spec_.latent_size; ++i) {
    EXPECT_NEAR(posterior.mean[0][i].item<double>(), first.mean[i], 1e-5);
    EXPECT_NEAR(posterior.log_std[0][i].item<double>(), first.log_std[i], 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Specs, AutoencoderVariants,
    testing::Values(Variant{"k1", 1, true, jobs::TokenDropoutRule::kMask},
                    Variant{"k2", 2, true, jobs::TokenDropoutRule::kZeroId},
                    Variant{"k4plain", 4, false, jobs::TokenDropoutRule::kMask},
                    Variant{"k8plain", 8, false, jobs::TokenDropoutRule::kZeroId}),
    [](const auto& info) { return info.param.name; });

// With a clamp above every element's KL, the posterior loses its pull towards N(0, 1) altogether.
TEST_F(AutoencoderTest, ClampedElementsGetNoGradientFromTheKl) {
  const auto gradient_of = [&](double kl_weight, double kl_clamp) {
    jobs::AutoencoderSpec spec = spec_;
    spec.kl_weight = kl_weight;
    spec.kl_clamp = kl_clamp;
    Autoencoder autoencoder(spec, kVocab);
    Randomise(autoencoder.units(), 1);
    autoencoder.TrainingLoss(tokens_, noise_, weights_, kDivisor).total.backward();
    at::Tensor gradient;
    for (const Parameter& parameter : autoencoder.units()[0]->parameters()) {
      if (parameter.name == "encoder.posterior.weight") gradient = parameter.value.grad();
    }
    return gradient;
  };
  const at::Tensor without = gradient_of(0, 0.5);
  EXPECT_TRUE(at::equal(gradient_of(1, 1e9), without));
  EXPECT_FALSE(at::allclose(gradient_of(1, 0), without));
}

TEST_F(AutoencoderTest, ClampsTheLogarithmOfTheStandardDeviation) {
  for (Parameter& parameter : autoencoder_.units()[0]->parameters()) {
    if (parameter.name != "encoder.posterior.bias") continue;
    const c10::NoGradGuard no_grad;
    parameter.value[spec_.latent_size] = 1000;
    parameter.value[spec_.latent_size + 1] = -1000;
  }
  const Posterior posterior = autoencoder_.Encode(tokens_);
  EXPECT_TRUE((posterior.log_std.select(1, 0) == 4).all().item<bool>());
  EXPECT_TRUE((posterior.log_std.select(1, 1) == -10).all().item<bool>());
}

TEST_F(AutoencoderTest, MaskEmbeddingLearnsOnlyFromDroppedTokens) {
  const auto mask_gradient = [&](float uniform) {
    noise_.token_dropout.fill_(uniform);
    Parameter* mask = nullptr;
    for (Parameter& parameter : autoencoder_.units()[0]->parameters()) {
      if (parameter.name == "mask_embedding") mask = &parameter;
      parameter.value.mutable_grad() = at::Tensor();
    }
    autoencoder_.TrainingLoss(tokens_, noise_, weights_, kDivisor).total.backward();
    return mask->value.grad().abs().sum().item<double>();
  };
  EXPECT_EQ(mask_gradient(0.3f), 0);  // "below p" is strict
  EXPECT_GT(mask_gradient(0.29f), 0);
}

// At 5 standard errors a false alarm comes once in 1.7 million runs.
TEST(AutoencoderNoiseTest, DropsTokensAtTheGivenRate) {
  std::vector<uint64_t> samples(4096);
  for (size_t i = 0; i < samples.size(); ++i) samples[i] = i;
  const at::Tensor uniform = NoiseRows{9, NoiseStream::kTokenDropout, 4, samples}.Uniform({4});
  const double rate = (uniform < 0.15).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(rate, 0.15, 5 * std::sqrt(0.15 * 0.85 / (4 * 4096)));
}

TEST(AutoencoderDecodeTest, TokensAreTheArgmaxInWhateverBlocks) {
  jobs::AutoencoderSpec spec = SmallAutoencoder();
  constexpr int64_t kWideVocab = 4000;
  Autoencoder autoencoder(spec, kWideVocab);
  autoencoder.units()[0]->Materialise();
  Initialise(*autoencoder.units()[0], jobs::InitRule::kFanIn, 0.5, 3);
  std::vector<uint64_t> samples(3000);  // three blocks of chunks
  for (size_t i = 0; i < samples.size(); ++i) samples[i] = i;
  const at::Tensor latents =
      NoiseRows{1, NoiseStream::kEvaluation, 0, samples}.Normal({spec.latent_size});
  const at::Tensor tokens = autoencoder.DecodeTokens(latents);
  const at::Tensor logits = autoencoder.Decode(latents);
  const at::Tensor best = std::get<0>(logits.max(2));
  EXPECT_TRUE(at::allclose(logits.gather(2, tokens.unsqueeze(2)).squeeze(2), best));
  EXPECT_EQ(tokens.sizes(), at::IntArrayRef({3000, spec.chunk_size}));
}

// The paper's 75,832,064 parameters, and the mask embedding that Halcyon adds.
TEST(AutoencoderSizeTest, HasThePapersParameters) {
  Autoencoder autoencoder(jobs::PaperAutoencoder(), 128257);
  EXPECT_EQ(autoencoder.units()[0]->numel(), 75832064 + 512);
}

}  // namespace
}  // namespace halcyon::model
