#include "model/calm_model.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "model/heads/energy_head.h"
#include "model/initialise.h"
#include "model/noise.h"
#include "tests/model/gradient_check.h"
#include "tests/model/network_oracle.h"

namespace halcyon::model {
namespace {

constexpr int64_t kChunkSize = 2, kLatent = 3, kVocab = 11;
constexpr int64_t kBatch = 2, kChunks = 5, kSamples = 3;

jobs::ModelSpec SmallSpec() {
  jobs::ModelSpec spec;
  spec.hidden_size = 8;
  spec.intermediate_size = 6;
  spec.layers = 2;
  spec.attention_heads = 2;
  spec.head_layers = 2;
  spec.noise_size = 5;
  spec.rope_theta = 100;
  return spec;
}

class CalmModelTest : public testing::Test {
 protected:
  CalmModelTest() : spec_(SmallSpec()), model_(spec_, kChunkSize, kLatent, kVocab) {
    Randomise(model_.units(), 2);
    tokens_ = (at::arange(kBatch * kChunks * kChunkSize) * 7 + 3)
                  .remainder(kVocab)
                  .view({kBatch, kChunks, kChunkSize});
    const std::vector<uint64_t> samples = {0, 1, 2};
    noise_ = NoiseRows{4, NoiseStream::kHeadNoise, 0, samples}.Uniform(
                 {kBatch, kChunks, spec_.noise_size}) -
             0.5;
    loss_weights_ =
        NoiseRows{4, NoiseStream::kEvaluation, 0, samples}.Normal({kBatch, kChunks, kLatent});
  }

  std::vector<std::vector<int64_t>> Sequence(int64_t batch) const {
    std::vector<std::vector<int64_t>> chunks(kChunks);
    for (int64_t t = 0; t < kChunks; ++t) {
      for (int64_t k = 0; k < kChunkSize; ++k) {
        chunks[t].push_back(tokens_[batch][t][k].item<int64_t>());
      }
    }
    return chunks;
  }

  Vector NoiseAt(int64_t n, int64_t b, int64_t t) const {
    const at::Tensor row = noise_[n][b][t].contiguous();
    return Vector(row.const_data_ptr<float>(), row.const_data_ptr<float>() + spec_.noise_size);
  }

  // The head's network on the noise of this test, [samples, batch, chunks, noise].
  at::Tensor Draw(const at::Tensor& hidden, const at::Tensor& noise) {
    const auto& head = dynamic_cast<const EnergyHead&>(model_.head());
    return head
        .FromNoise(model_.FinalNorm(hidden).view({-1, spec_.hidden_size}),
                   noise.reshape({-1, spec_.noise_size}))
        .view({kSamples, kBatch, kChunks, kLatent});
  }
  at::Tensor Hidden() { return model_.Backbone(tokens_, {}); }

  jobs::ModelSpec spec_;
  CalmModel model_;
  at::Tensor tokens_, noise_, loss_weights_;
  const NoiseRows rows_{4, NoiseStream::kHeadNoise, 0, {0, 1}};
};

TEST_F(CalmModelTest, SampleIsTheHeadOnThisNoiseHoweverTheDrawsAreCut) {
  const at::Tensor hidden = Hidden();
  const at::Tensor noise =
      rows_.Uniform({kSamples, kChunks, spec_.noise_size}).transpose(0, 1) - 0.5;
  const at::Tensor samples = model_.Sample(hidden, 0, kSamples, rows_);
  EXPECT_TRUE(at::equal(samples, Draw(hidden, noise)));
  const at::Tensor last = hidden.narrow(1, kChunks - 1, 1);
  const at::Tensor whole = model_.Sample(last, 0, 7, rows_);
  EXPECT_TRUE(at::allclose(model_.Sample(last, 3, 2, rows_), whole.narrow(0, 3, 2), 1e-5, 1e-6));
}

TEST_F(CalmModelTest, MatchesTheOracle) {
  const NetworkOracle net(model_.units());
  const at::Tensor hidden = Hidden();
  const at::Tensor latents = Draw(hidden, noise_);
  ASSERT_EQ(latents.sizes(), at::IntArrayRef({kSamples, kBatch, kChunks, kLatent}));
  for (int64_t b = 0; b < kBatch; ++b) {
    const std::vector<Vector> expected = RunBackbone(net, spec_, Sequence(b));
    for (int64_t t = 0; t < kChunks; ++t) {
      for (int64_t i = 0; i < spec_.hidden_size; ++i) {
        EXPECT_NEAR(hidden[b][t][i].item<double>(), expected[t][i],
                    1e-5 * (1 + std::abs(expected[t][i])));
      }
      for (int64_t n = 0; n < kSamples; ++n) {
        const Vector latent = RunHead(net, spec_, expected[t], NoiseAt(n, b, t));
        for (int64_t i = 0; i < kLatent; ++i) {
          EXPECT_NEAR(latents[n][b][t][i].item<double>(), latent[i],
                      1e-5 * (1 + std::abs(latent[i])));
        }
      }
    }
  }
}

TEST_F(CalmModelTest, GradientsMatchFiniteDifferences) {
  (Draw(Hidden(), noise_) * loss_weights_).sum().backward();
  ExpectGradientsMatch(
      model_.units(), NetworkOracle(model_.units()), [&](const NetworkOracle& net) {
        double loss = 0;
        for (int64_t b = 0; b < kBatch; ++b) {
          const std::vector<Vector> hidden = RunBackbone(net, spec_, Sequence(b));
          for (int64_t n = 0; n < kSamples; ++n) {
            for (int64_t t = 0; t < kChunks; ++t) {
              const Vector latent = RunHead(net, spec_, hidden[t], NoiseAt(n, b, t));
              for (int64_t i = 0; i < kLatent; ++i) {
                loss += loss_weights_[n][b][t][i].item<double>() * latent[i];
              }
            }
          }
        }
        return loss;
      });
}

TEST_F(CalmModelTest, LaterChunksChangeNothingBefore) {
  const at::Tensor before = Hidden();
  for (int64_t t = 0; t < kChunks; ++t) {
    at::Tensor changed = tokens_.clone();
    changed.select(1, t).add_(1).remainder_(kVocab);
    const at::Tensor after = model_.Backbone(changed, {});
    EXPECT_TRUE(at::allclose(after.narrow(1, 0, t), before.narrow(1, 0, t), 0, 1e-6));
    EXPECT_FALSE(at::allclose(after.select(1, t), before.select(1, t)));
  }
}

TEST_F(CalmModelTest, SequencesOfABatchAreIndependent) {
  const at::Tensor together = Hidden();
  for (int64_t b = 0; b < kBatch; ++b) {
    const at::Tensor alone = model_.Backbone(tokens_.narrow(0, b, 1), {});
    EXPECT_TRUE(at::allclose(alone.select(0, 0), together.select(0, b), 1e-5, 1e-6));
  }
}

TEST_F(CalmModelTest, TakesNoiseInAnyLayout) {
  const at::Tensor hidden = Hidden();
  const at::Tensor strided = noise_.transpose(0, 1).contiguous().transpose(0, 1);
  EXPECT_FALSE(strided.is_contiguous());
  EXPECT_TRUE(at::equal(Draw(hidden, strided), Draw(hidden, noise_)));
}

// Records the order of calls, and proves that outputs pass through the hook.
class RecordingHooks : public UnitHooks {
 public:
  void BeforeForward(Unit& unit) override { calls.push_back("+" + unit.name()); }
  at::Tensor AfterForward(Unit& unit, const at::Tensor& output) override {
    calls.push_back("-" + unit.name());
    return output * factor;
  }
  std::vector<std::string> calls;
  double factor = 1;
};

TEST_F(CalmModelTest, EntersAndLeavesEachUnitOnce) {
  RecordingHooks hooks;
  for (Unit* unit : model_.units()) unit->set_hooks(&hooks);
  const at::Tensor latents = model_.Sample(Hidden(), 0, kSamples, rows_);
  const std::vector<std::string> expected = {"+input",   "-input",   "+block.0", "-block.0",
                                             "+block.1", "-block.1", "+head",    "-head"};
  EXPECT_EQ(hooks.calls, expected);
  hooks.factor = 0;
  EXPECT_TRUE((Hidden() == 0).all().item<bool>());
}

TEST_F(CalmModelTest, FreshModelSamplesZeros) {
  std::set<std::string> names;
  for (Unit* unit : model_.units()) {
    unit->Materialise();
    Initialise(*unit, jobs::InitRule::kFanIn, 0.5, 1);
    for (const Parameter& parameter : unit->parameters()) {
      EXPECT_TRUE(names.insert(parameter.name).second) << parameter.name;
      EXPECT_EQ(parameter.decays, parameter.shape.size() == 2) << parameter.name;
    }
  }
  const at::Tensor latents = Draw(Hidden(), noise_);
  EXPECT_TRUE((latents == 0).all().item<bool>());
}

// CALM-M and CALM-L of the paper's Table 1: 371M and 735M.
TEST(CalmModelSizeTest, HasThePapersParameters) {
  struct Size {
    int64_t layers, hidden, intermediate;
    double millions;
  };
  for (const Size& size : {Size{16, 1024, 2752, 371.73}, Size{16, 1536, 4096, 735.33},
                           Size{16, 2560, 6880, 1829.80}}) {
    jobs::ModelSpec spec;
    spec.layers = size.layers;
    spec.hidden_size = size.hidden;
    spec.intermediate_size = size.intermediate;
    spec.head_layers = size.layers / 4;
    CalmModel model(spec, 4, 128, 128257);
    int64_t count = 0;
    for (Unit* unit : model.units()) count += unit->numel();
    EXPECT_NEAR(static_cast<double>(count) / 1e6, size.millions, 0.006);
  }
}

}  // namespace
}  // namespace halcyon::model
