#include "model/backbone.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "model/baseline_model.h"
#include "model/calm_model.h"
#include "model/noise.h"
#include "tests/model/network_oracle.h"

namespace halcyon::model {
namespace {

constexpr int64_t kBatch = 3, kSteps = 9, kHidden = 16;

class BackboneTest : public testing::TestWithParam<int64_t> {
 protected:
  static jobs::ModelSpec Spec(int64_t key_value_heads) {
    jobs::ModelSpec spec;
    spec.hidden_size = kHidden;
    spec.intermediate_size = 12;
    spec.layers = 3;
    spec.attention_heads = 4;
    spec.key_value_heads = key_value_heads;
    return spec;
  }

  BackboneTest() : backbone_(Spec(GetParam())) {
    Randomise(backbone_.units(), 2);
    rows_ = NoiseRows{1, NoiseStream::kEvaluation, 0, {0, 1, 2}}.Normal({kSteps, kHidden});
    whole_ = Run(rows_, nullptr, nullptr);
  }

  at::Tensor Run(const at::Tensor& rows, const Placement* placement, BackboneCache* cache) {
    return backbone_(rows.reshape({-1, kHidden}), rows.size(0), placement, cache)
        .view(rows.sizes());
  }
  static bool Close(const at::Tensor& a, const at::Tensor& b) {
    return at::allclose(a, b, 1e-4, 1e-4);  // of values up to 20
  }

  const c10::NoGradGuard no_grad_;
  Backbone backbone_;
  at::Tensor rows_, whole_;
};

TEST_P(BackboneTest, CachedStepsEqualTheWholeSequence) {
  for (const std::vector<int64_t>& parts : {std::vector<int64_t>{4, 1, 1, 3}, {9}, {1, 8}}) {
    BackboneCache cache;
    int64_t first = 0;
    for (const int64_t count : parts) {
      const at::Tensor out = Run(rows_.narrow(1, first, count), nullptr, &cache);
      EXPECT_TRUE(Close(out, whole_.narrow(1, first, count)));
      first += count;
      EXPECT_EQ(cache.length(), first);
    }
  }
}

TEST_P(BackboneTest, SelectedRowsGoOnAlone) {
  BackboneCache cache;
  Run(rows_.narrow(1, 0, 5), nullptr, &cache);
  const at::Tensor kept = at::tensor({2, 0, 2}, at::kLong);
  cache.Select(kept);
  const at::Tensor out = Run(rows_.index_select(0, kept).narrow(1, 5, 4), nullptr, &cache);
  EXPECT_TRUE(Close(out, whole_.index_select(0, kept).narrow(1, 5, 4)));
}

TEST_P(BackboneTest, TruncatedStepsAreForgotten) {
  BackboneCache cache;
  Run(rows_.narrow(1, 0, 3), nullptr, &cache);
  Run(rows_.narrow(1, 6, 3), nullptr, &cache);
  cache.Truncate(3);
  EXPECT_TRUE(Close(Run(rows_.narrow(1, 3, 6), nullptr, &cache), whole_.narrow(1, 3, 6)));
}

// Branches: every step of a second sequence, placed behind a prefix of the first one.
TEST_P(BackboneTest, PlacementLetsAStepBranchOffAnywhere) {
  BackboneCache cache;
  const at::Tensor trunk = rows_.narrow(0, 0, 1), other = rows_.narrow(0, 1, 1);
  Run(trunk, nullptr, &cache);
  Placement placement;
  placement.positions = at::arange(kSteps).unsqueeze(0);
  // Branch p sees trunk steps 0 ... p - 1 and itself.
  placement.visible =
      at::cat({at::ones({kSteps, kSteps}, at::kBool).tril(-1), at::eye(kSteps).to(at::kBool)}, 1)
          .view({1, 1, kSteps, 2 * kSteps});
  const at::Tensor branches = Run(other, &placement, &cache);
  for (int64_t p = 0; p < kSteps; ++p) {
    const at::Tensor sequence = at::cat({trunk.narrow(1, 0, p), other.narrow(1, p, 1)}, 1);
    EXPECT_TRUE(Close(branches.narrow(1, p, 1), Run(sequence, nullptr, nullptr).narrow(1, p, 1)));
  }
}

TEST_P(BackboneTest, DocumentsOfASequenceAreAsEachIsAlone) {
  Placement placement;
  placement.first_visible = at::tensor({0, 0, 0, 3, 3, 3, 3, 7, 8,  //
                                        0, 1, 1, 1, 1, 1, 1, 1, 1,  //
                                        0, 0, 0, 0, 0, 0, 0, 0, 0},
                                       at::kLong)
                                .view({kBatch, kSteps});
  const at::Tensor out = Run(rows_, &placement, nullptr);
  for (int64_t b = 0; b < kBatch; ++b) {
    for (int64_t t = 0; t < kSteps; ++t) {
      const int64_t first = placement.first_visible[b][t].item<int64_t>(), steps = t + 1 - first;
      const at::Tensor alone = Run(rows_.narrow(0, b, 1).narrow(1, first, steps), nullptr, nullptr);
      EXPECT_TRUE(Close(out[b][t], alone[0][steps - 1])) << b << " " << t;
    }
  }
  EXPECT_FALSE(Close(out, whole_));
  BackboneCache cache;
  for (int64_t first = 0; first < kSteps; first += 3) {
    const Placement part = {.first_visible = placement.first_visible.narrow(1, first, 3)};
    EXPECT_TRUE(Close(Run(rows_.narrow(1, first, 3), &part, &cache), out.narrow(1, first, 3)));
  }
}

INSTANTIATE_TEST_SUITE_P(KeyValueHeads, BackboneTest, testing::Values(0, 2, 1));

// Grouped heads are ordinary ones whose keys and values repeat within a group.
TEST(GroupedHeadsTest, EqualRepeatedHeads) {
  const c10::NoGradGuard no_grad;
  jobs::ModelSpec spec;
  spec.hidden_size = kHidden;
  spec.intermediate_size = 12;
  spec.layers = 1;
  spec.attention_heads = 4;
  spec.key_value_heads = 2;
  Backbone grouped(spec);
  Randomise(grouped.units(), 4);
  spec.key_value_heads = 4;
  Backbone plain(spec);
  Randomise(plain.units(), 5);
  auto& from = grouped.units()[0]->parameters();
  auto& to = plain.units()[0]->parameters();
  for (size_t i = 0; i < from.size(); ++i) {
    at::Tensor value = from[i].value.detach();
    if (value.sizes() != to[i].value.sizes()) {
      value = value.view({2, 4, kHidden}).repeat_interleave(2, 0).reshape({kHidden, kHidden});
    }
    to[i].value.detach().copy_(value);
  }
  const at::Tensor rows =
      NoiseRows{1, NoiseStream::kEvaluation, 0, {0}}.Normal({6, kHidden}).view({6, kHidden});
  EXPECT_TRUE(at::allclose(grouped(rows, 1), plain(rows, 1), 1e-5, 1e-6));
}

TEST(InputsTest, LatentsEnterByTheColumnsBehindTheTokens) {
  const c10::NoGradGuard no_grad;
  jobs::ModelSpec spec;
  spec.hidden_size = 8;
  spec.intermediate_size = 6;
  spec.layers = 1;
  spec.attention_heads = 2;
  spec.input = jobs::InputKind::kBoth;
  constexpr int64_t kChunk = 2, kLatent = 3;
  CalmModel model(spec, kChunk, kLatent, 11);
  Randomise(model.units(), 6);
  const NetworkOracle net(model.units());
  const at::Tensor tokens = at::arange(4).view({1, 2, kChunk});
  const at::Tensor latents =
      NoiseRows{1, NoiseStream::kEvaluation, 0, {0}}.Normal({2, kLatent}).view({1, 2, kLatent});
  const at::Tensor inputs = model.Inputs(tokens, latents);
  for (int64_t t = 0; t < 2; ++t) {
    Vector x = net.Row("input.embedding", 2 * t, 8);
    for (const double value : net.Row("input.embedding", 2 * t + 1, 8)) x.push_back(value);
    for (int64_t i = 0; i < kLatent; ++i) x.push_back(latents[0][t][i].item<double>());
    Vector wide = net.Linear(x, "input.widen");
    for (double& value : wide) value = Silu(value);
    const Vector expected = net.LayerNorm(net.Linear(wide, "input.narrow"), "input.norm");
    for (int64_t i = 0; i < 8; ++i) {
      EXPECT_NEAR(inputs[0][t][i].item<double>(), expected[i], 1e-5 * (1 + std::abs(expected[i])));
    }
  }
  spec.input = jobs::InputKind::kContinuous;
  CalmModel continuous(spec, kChunk, kLatent, 11);
  Randomise(continuous.units(), 6);
  EXPECT_TRUE(
      at::equal(continuous.Inputs(tokens, latents), continuous.Inputs(tokens + 3, latents)));
}

class BaselineModelTest : public testing::TestWithParam<bool> {
 protected:
  BaselineModelTest() : model_(Spec(), 13) { Randomise(model_.units(), 7); }
  static jobs::ModelSpec Spec() {
    jobs::ModelSpec spec;
    spec.head = jobs::HeadKind::kSoftmax;
    spec.hidden_size = 8;
    spec.intermediate_size = 6;
    spec.layers = 2;
    spec.attention_heads = 2;
    spec.tie_embeddings = GetParam();
    return spec;
  }
  BaselineModel model_;
};

TEST_P(BaselineModelTest, LogitsAreTheNormedHiddenStateTimesTheTable) {
  const c10::NoGradGuard no_grad;
  const NetworkOracle net(model_.units());
  const at::Tensor tokens = at::tensor({3, 1, 12, 0}, at::kLong).view({1, 4});
  const at::Tensor logits = model_.Logits(tokens);
  ASSERT_EQ(logits.sizes(), at::IntArrayRef({1, 4, 13}));
  Backbone backbone(Spec());
  for (size_t i = 0; i < backbone.units().size(); ++i) {
    Unit& unit = *backbone.units()[i];
    unit.Materialise();
    for (size_t j = 0; j < unit.parameters().size(); ++j) {
      unit.parameters()[j].value.detach().copy_(
          model_.units()[i + 1]->parameters()[j].value.detach());
    }
  }
  const at::Tensor table = model_.units()[0]->parameters()[0].value;
  const at::Tensor hidden = backbone(at::embedding(table, tokens.flatten()), 1);
  const std::string output = GetParam() ? "input.embedding" : "output.weight";
  for (int64_t t = 0; t < 4; ++t) {
    Vector state;
    for (int64_t i = 0; i < 8; ++i) state.push_back(hidden[t][i].item<double>());
    state = net.RmsNorm(state, "final_norm");
    for (int64_t v = 0; v < 13; ++v) {
      const Vector row = net.Row(output, v, 8);
      double expected = 0;
      for (int64_t i = 0; i < 8; ++i) expected += row[i] * state[i];
      EXPECT_NEAR(logits[0][t][v].item<double>(), expected, 1e-4 * (1 + std::abs(expected)));
    }
  }
}

TEST_P(BaselineModelTest, ParametersTakeGradientsAtBothEnds) {
  const at::Tensor tokens = at::tensor({3, 1, 12, 0}, at::kLong).view({1, 4});
  model_.Logits(tokens).square().sum().backward();
  for (Unit* unit : model_.units()) {
    for (const Parameter& parameter : unit->parameters()) {
      ASSERT_TRUE(parameter.value.grad().defined()) << parameter.name;
      EXPECT_GT(parameter.value.grad().abs().sum().item<double>(), 0) << parameter.name;
    }
  }
}

TEST_P(BaselineModelTest, NextTokenLossIsThatOfTheLogits) {
  const at::Tensor tokens = at::tensor({3, 1, 12, 0, 5, 5}, at::kLong).view({2, 3});
  const at::Tensor weights = at::tensor({0.5f, 0.25f, 2.0f, 0.0f});
  const auto gradients = [&](const at::Tensor& loss) {
    loss.backward();
    std::vector<at::Tensor> taken;
    for (Unit* unit : model_.units()) {
      for (Parameter& parameter : unit->parameters()) {
        taken.push_back(parameter.value.grad().clone());
        parameter.value.mutable_grad().reset();
      }
    }
    return taken;
  };
  const TokenLoss loss = model_.NextTokenLoss(tokens, weights);
  const at::Tensor logits = model_.Logits(tokens.narrow(1, 0, 2)).flatten(0, 1);
  const at::Tensor losses =
      at::cross_entropy_loss(logits, tokens.narrow(1, 1, 2).flatten(), {}, at::Reduction::None);
  EXPECT_TRUE(at::allclose(loss.losses, losses, 1e-5, 1e-5));
  const auto fused = gradients(loss.total), composed = gradients(at::dot(weights, losses));
  ASSERT_EQ(fused.size(), composed.size());
  for (size_t i = 0; i < fused.size(); ++i) {
    EXPECT_TRUE(at::allclose(fused[i], composed[i], 1e-4, 1e-5)) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Tied, BaselineModelTest, testing::Bool());

// Transformer-S and -M of the paper's Table 1: 281M and 465M, without tying.
TEST(BaselineModelSizeTest, HasThePapersParameters) {
  struct Size {
    int64_t layers, hidden, intermediate;
    double millions;
  };
  for (const Size& size : {Size{12, 768, 2048, 281.96}, Size{16, 1024, 2752, 465.08}}) {
    jobs::ModelSpec spec;
    spec.layers = size.layers;
    spec.hidden_size = size.hidden;
    spec.intermediate_size = size.intermediate;
    BaselineModel model(spec, 128257);
    int64_t count = 0;
    for (Unit* unit : model.units()) count += unit->numel();
    EXPECT_NEAR(static_cast<double>(count) / 1e6, size.millions, 0.006);
  }
}

}  // namespace
}  // namespace halcyon::model
