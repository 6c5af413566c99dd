#include "worker/scoring/rollout.h"

#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "model/baseline_model.h"
#include "model/brier.h"
#include "tests/worker/random_networks.h"
#include "worker/inputs/window_tensors.h"
#include "worker/scoring/branches.h"
#include "worker/scoring/evaluation_noise.h"

namespace halcyon::worker {
namespace {

constexpr int64_t kVocabulary = 4;
constexpr int64_t kLatent = 3;

at::Tensor RandomTokens(uint64_t seed, const std::vector<int64_t>& shape) {
  const model::NoiseRows rows{seed, NoiseStream::kSampleOrder, 0, {0}};
  return (rows.Uniform(shape).squeeze(0) * kVocabulary).to(at::kLong);
}

// Three steps of branches from random places, every one with a random parent.
struct RandomTree {
  static constexpr int64_t kBranches = 9;
  std::vector<std::vector<Branch>> steps;

  explicit RandomTree(int64_t window_steps) {
    const PhiloxStream random(5, NoiseStream::kEvaluation, 0, 0);
    uint64_t draw = 0;
    for (int step = 0; step < 3; ++step) {
      std::vector<Branch>& branches = steps.emplace_back();
      for (int64_t i = 0; i < kBranches; ++i) {
        Branch branch{static_cast<int64_t>(random.Below(draw++, window_steps + 1)), -1};
        if (step > 0) {
          branch.parent = static_cast<int64_t>(random.Below(draw++, kBranches));
          branch.context = steps[step - 1][branch.parent].context;
        }
        branches.push_back(branch);
      }
    }
  }

  // [steps, ...] of the text that leads to branch i of a step: its context and its ancestors'
  // rows of `of_branches` [3, branches, ...].
  at::Tensor Text(const at::Tensor& window, const at::Tensor& of_branches, int step,
                  int64_t i) const {
    std::vector<at::Tensor> parts;
    int64_t context = 0;
    for (int at = step; at >= 0; --at) {
      parts.insert(parts.begin(), of_branches[at].narrow(0, i, 1));
      context = steps[at][i].context;
      i = steps[at][i].parent;
    }
    parts.insert(parts.begin(), window.narrow(0, 0, context));
    return at::cat(parts);
  }
};

class BranchesTest : public ::testing::TestWithParam<jobs::InputKind> {};

TEST_P(BranchesTest, EqualTheFullModelOnTheirOwnText) {
  c10::NoGradGuard no_grad;
  constexpr int64_t kChunks = 6, kChunkSize = 2;
  jobs::ModelSpec spec = SmallModel();
  spec.input = GetParam();
  model::CalmModel model(spec, kChunkSize, kLatent, kVocabulary);
  FillRandomly(model.units(), 3);
  const at::Tensor window = RandomTokens(1, {kChunks, kChunkSize});
  const at::Tensor own = RandomTokens(2, {3, RandomTree::kBranches, kChunkSize});
  const auto latents_of = [&](const at::Tensor& tokens) {
    // Any function of the chunk will do.
    return model.SeesLatents() ? at::sin(tokens.sum(-1, true) + at::arange(kLatent)).to(at::kFloat)
                               : at::Tensor();
  };
  const auto batch = [](const at::Tensor& rows) {
    return rows.defined() ? rows.unsqueeze(0) : at::Tensor();
  };
  model::BackboneCache cache;
  model.Backbone(batch(window), batch(latents_of(window)), nullptr, &cache);
  const RandomTree random(kChunks);
  for (int round = 0; round < 2; ++round) {  // again after going back to the window
    BranchTree tree(cache.length());
    for (int step = 0; step < 3; ++step) {
      const model::Placement placement = tree.Grow(random.steps[step]);
      const at::Tensor hidden =
          model.Backbone(batch(own[step]), batch(latents_of(own[step])), &placement, &cache)[0];
      for (int64_t i = 0; i < RandomTree::kBranches; ++i) {
        const at::Tensor text = random.Text(window, own, step, i);
        const at::Tensor expected = model.Backbone(batch(text), batch(latents_of(text)))[0][-1];
        EXPECT_TRUE(at::allclose(hidden[i], expected, 1e-4, 1e-5)) << step << " " << i;
      }
    }
    cache.Truncate(kChunks);
  }
}

INSTANTIATE_TEST_SUITE_P(Inputs, BranchesTest,
                         ::testing::Values(jobs::InputKind::kDiscrete, jobs::InputKind::kContinuous,
                                           jobs::InputKind::kBoth));

TEST(BaselineBranchesTest, EqualTheFullModelOnTheirOwnText) {
  c10::NoGradGuard no_grad;
  jobs::ModelSpec spec = SmallModel();
  spec.head = jobs::HeadKind::kSoftmax;
  model::BaselineModel model(spec, kVocabulary);
  FillRandomly(model.units(), 4);
  const at::Tensor window = RandomTokens(1, {7});
  const at::Tensor own = RandomTokens(2, {3, RandomTree::kBranches});
  model::BackboneCache cache;
  model.Logits(window.unsqueeze(0), nullptr, &cache);
  const RandomTree random(7);
  BranchTree tree(7);
  for (int step = 0; step < 3; ++step) {
    const model::Placement placement = tree.Grow(random.steps[step]);
    const at::Tensor logits = model.Logits(own[step].unsqueeze(0), &placement, &cache)[0];
    for (int64_t i = 0; i < RandomTree::kBranches; ++i) {
      const at::Tensor text = random.Text(window, own, step, i);
      EXPECT_TRUE(at::allclose(logits[i], model.Logits(text.unsqueeze(0))[0][-1], 1e-4, 1e-5));
    }
  }
}

// Every draw rolled out by itself, with the whole model on its whole text and nothing given up.
class RollOutTest : public ::testing::TestWithParam<std::tuple<int64_t, jobs::InputKind>> {
 protected:
  RollOutTest()
      : chunk_size_(std::get<0>(GetParam())),
        autoencoder_(SmallAutoencoder(chunk_size_, kLatent), kVocabulary),
        model_(Spec(), chunk_size_, kLatent, kVocabulary) {
    FillRandomly(autoencoder_.units(), 11);
    FillRandomly(model_.units(), 12);
  }
  static jobs::ModelSpec Spec() {
    jobs::ModelSpec spec = SmallModel();
    spec.input = std::get<1>(GetParam());
    return spec;
  }
  at::Tensor Latents(const at::Tensor& chunks) {
    return model_.SeesLatents() ? autoencoder_.Encode(chunks).mean.unsqueeze(0) : at::Tensor();
  }

  // Behind chunks first ... place of the text.
  at::Tensor ByItself(const at::Tensor& tokens, const at::Tensor& draw, int64_t first,
                      int64_t place, uint64_t row, const RollOutKey& key) {
    const int64_t context = place + 1 - first;
    at::Tensor text = at::cat({tokens[0].narrow(0, first, context), draw.unsqueeze(0)});
    for (int64_t chunk = 1; chunk < ChunksOfGram(chunk_size_); ++chunk) {
      const at::Tensor hidden = model_.Backbone(text.unsqueeze(0), Latents(text));
      const model::NoiseRows noise{key.seed,
                                   NoiseStream::kEvaluation,
                                   kRollOut + 4 * key.window + static_cast<uint64_t>(chunk),
                                   {row}};
      const at::Tensor latent =
          model_.Sample(hidden.narrow(1, text.size(0) - 1, 1), 0, 1, noise).view({1, kLatent});
      text = at::cat({text, autoencoder_.DecodeTokens(latent)});
    }
    return text.narrow(0, context, ChunksOfGram(chunk_size_)).flatten().narrow(0, 0, 4);
  }

  void ExpectEachDrawByItself(const at::Tensor& first_visible);

  int64_t chunk_size_;
  model::Autoencoder autoencoder_;
  model::CalmModel model_;
};

void RollOutTest::ExpectEachDrawByItself(const at::Tensor& first_visible) {
  c10::NoGradGuard no_grad;
  constexpr int64_t kChunks = 12, kSamples = 5;
  const RollOutKey key{.seed = 9, .window = 2};
  const at::Tensor tokens = RandomTokens(7, {1, kChunks, chunk_size_});
  const int64_t places = kChunks - ChunksOfGram(chunk_size_);
  const at::Tensor draws = RandomTokens(8, {places, kSamples, chunk_size_});
  const at::Tensor context = tokens.narrow(1, 0, kChunks - 1);
  model::BackboneCache cache;
  const model::Placement placement = PlacementOf(first_visible, kChunks - 1);
  model_.Backbone(context, Latents(context[0]), &placement, &cache);
  const at::Tensor grams = RollOut(model_, autoencoder_, cache, tokens, first_visible, draws, key);
  EXPECT_EQ(cache.length(), kChunks - 1);
  int64_t finished = 0, given_up = 0;
  model::BrierAccumulator pruned, whole;
  for (int64_t place = 0; place < places; ++place) {
    std::vector<int64_t> all;
    for (int64_t i = 0; i < kSamples; ++i) {
      const int64_t first =
          first_visible.defined() ? first_visible[0][place + 1].item<int64_t>() : 0;
      const at::Tensor expected = ByItself(tokens, draws[place][i], first, place,
                                           static_cast<uint64_t>(place * kSamples + i), key);
      const int64_t* values = expected.const_data_ptr<int64_t>();
      all.insert(all.end(), values, values + 4);
      const at::Tensor known = grams[place][i].ge(0);
      EXPECT_TRUE(at::equal(grams[place][i].masked_select(known), expected.masked_select(known)));
      (known.all().item<bool>() ? finished : given_up) += 1;
    }
    const auto truth = std::span(tokens.const_data_ptr<int64_t>() + (place + 1) * chunk_size_, 4);
    whole.AddSamples(all, truth, 0);
    pruned.AddSamples({grams[place].const_data_ptr<int64_t>(), 4 * kSamples}, truth, 0);
  }
  EXPECT_EQ(pruned.Serialise(), whole.Serialise());
  EXPECT_GT(finished, 0);
  EXPECT_EQ(given_up > 0, chunk_size_ < 4);
  EXPECT_GT(whole.Compute(model::BrierProtocol::kPairwise, 1, 0).collision[1], 0);
}

TEST_P(RollOutTest, EqualsRollingEveryDrawOutByItself) { ExpectEachDrawByItself({}); }

TEST_P(RollOutTest, WithADocumentMaskADrawSeesWhatTheChunkInItsPlaceDoes) {
  ExpectEachDrawByItself(at::tensor({0, 0, 0, 3, 3, 5, 6, 6, 6, 6, 6, 11}, at::kLong).unsqueeze(0));
}

INSTANTIATE_TEST_SUITE_P(ChunkSizesAndInputs, RollOutTest,
                         ::testing::Values(std::tuple(1, jobs::InputKind::kDiscrete),
                                           std::tuple(1, jobs::InputKind::kBoth),
                                           std::tuple(2, jobs::InputKind::kContinuous),
                                           std::tuple(3, jobs::InputKind::kDiscrete),
                                           std::tuple(5, jobs::InputKind::kDiscrete)));

// Draws that equal nothing: the networks are called all the same, and the window is left as it
// was.
TEST(RollOutNothingTest, DrawsThatEqualNothingAreNotContinued) {
  c10::NoGradGuard no_grad;
  model::Autoencoder autoencoder(SmallAutoencoder(1, kLatent), kVocabulary);
  model::CalmModel model(SmallModel(), 1, kLatent, kVocabulary);
  FillRandomly(autoencoder.units(), 1);
  FillRandomly(model.units(), 2);
  const at::Tensor tokens = at::zeros({1, 6, 1}, at::kLong);
  const at::Tensor draws = at::tensor({1, 2, 3, 1}, at::kLong).view({2, 2, 1});
  model::BackboneCache cache;
  model.Backbone(tokens.narrow(1, 0, 5), {}, nullptr, &cache);
  const at::Tensor grams = RollOut(model, autoencoder, cache, tokens, {}, draws, {});
  EXPECT_TRUE(at::equal(grams.select(2, 0), draws.squeeze(2)));
  EXPECT_TRUE(grams.narrow(2, 1, 3).lt(0).all().item<bool>());
  EXPECT_FALSE(at::equal(grams[0][0].narrow(0, 1, 3), grams[0][1].narrow(0, 1, 3)));
}

}  // namespace
}  // namespace halcyon::worker
