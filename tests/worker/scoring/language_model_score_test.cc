#include "worker/scoring/language_model_score.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

#include "base/philox.h"
#include "cluster/in_process_gang.h"
#include "tests/pipeline/cache_fixture.h"
#include "tests/worker/random_networks.h"
#include "worker/inputs/latent_batches.h"
#include "worker/inputs/window_tensors.h"
#include "worker/scoring/evaluation_noise.h"

namespace halcyon::worker {
namespace {

using pipeline::Split;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr uint32_t kEndToken = 3, kPadToken = 4;
constexpr int64_t kVocabulary = 5;

class ScoreTest : public pipeline::CachedDataTest {
 protected:
  void SetUp() override {
    const PhiloxStream random(8, NoiseStream::kEvaluation, 0, 0);
    std::vector<pipeline::Document> documents(9);
    for (uint64_t i = 0; i < documents.size(); ++i) {
      for (uint64_t j = 0; j < 5 + i; ++j) documents[i].push_back(random.Below(100 * i + j, 3));
    }
    WriteTokens({{{{}, documents}}});
  }

  void Open(uint32_t chunk_size, uint32_t window_chunks) {
    auto packing = pipeline::Packing::Build(tokens_.get(), {chunk_size, kEndToken, kPadToken});
    ASSERT_TRUE(packing.ok());
    packing_ = std::move(*packing);
    if (latents_ == nullptr) WriteLatents(*packing_);
    windows_ =
        std::make_unique<pipeline::WindowLoader>(packing_.get(), latents_.get(), window_chunks);
  }

  std::vector<int64_t> Window(uint64_t window) {
    std::vector<uint32_t> ids;
    std::vector<float> posteriors;
    EXPECT_TRUE(windows_->Load(Split::kHeldout, window, &ids, &posteriors).ok());
    return {ids.begin(), ids.end()};
  }

  cluster::SingleRank alone_;
  std::unique_ptr<pipeline::Packing> packing_;
  std::unique_ptr<pipeline::WindowLoader> windows_;
};

class CalmScoreTest : public ScoreTest {
 protected:
  void Make(int64_t chunk_size, jobs::ModelSpec spec = SmallModel()) {
    autoencoder_ = std::make_unique<model::Autoencoder>(SmallAutoencoder(chunk_size, kLatentSize),
                                                        kVocabulary);
    model_ = std::make_unique<model::CalmModel>(spec, chunk_size, kLatentSize, kVocabulary);
    FillRandomly(autoencoder_->units(), 21);
    FillRandomly(model_->units(), 22);
  }
  LanguageModelScore Score(const LanguageModelOptions& options, cluster::Collectives* ranks) {
    const auto score = ScoreLanguageModel(*model_, *autoencoder_, *windows_, options, *ranks);
    EXPECT_TRUE(score.ok()) << score.status();
    return *score;
  }

  std::unique_ptr<model::Autoencoder> autoencoder_;
  std::unique_ptr<model::CalmModel> model_;
};

TEST_F(CalmScoreTest, CountsTheDrawsOfEveryPlace) {
  c10::NoGradGuard no_grad;
  constexpr int64_t kChunks = 4, kSamples = 6;
  Open(4, kChunks);
  Make(4);
  const uint64_t total = windows_->Windows(Split::kHeldout);
  const LanguageModelOptions options{
      .windows = 100, .samples = kSamples, .bootstrap = 0, .seed = 4};
  const LanguageModelScore score = Score(options, &alone_);
  std::array<double, 4> right{}, equal{};
  for (uint64_t window = 0; window < total; ++window) {
    const std::vector<int64_t> ids = Window(window);
    const at::Tensor tokens = at::tensor(ids).view({1, kChunks, 4});
    const at::Tensor hidden = model_->Backbone(tokens.narrow(1, 0, kChunks - 1), {});
    const model::NoiseRows noise{4, NoiseStream::kEvaluation, kScoreDraws, {window}};
    const at::Tensor drawn =
        autoencoder_->DecodeTokens(model_->Sample(hidden, 0, kSamples, noise).flatten(0, 2))
            .view({kSamples, kChunks - 1, 4});
    for (int64_t p = 0; p + 1 < kChunks; ++p) {
      for (int64_t n = 1; n <= 4; ++n) {
        const auto gram = [&](int64_t i) { return drawn[i][p].narrow(0, 0, n); };
        for (int64_t i = 0; i < kSamples; ++i) {
          right[n - 1] += at::equal(gram(i), tokens[0][p + 1].narrow(0, 0, n));
          for (int64_t j = 0; j < kSamples; ++j)
            equal[n - 1] += i != j && at::equal(gram(i), gram(j));
        }
      }
    }
  }
  const auto places = static_cast<double>(total * (kChunks - 1));
  EXPECT_EQ(score.brier.positions, places);
  EXPECT_EQ(score.windows, total);
  EXPECT_EQ(score.token_context, 16u);
  for (int n = 0; n < 4; ++n) {
    EXPECT_NEAR(score.brier.accuracy[n], right[n] / (kSamples * places), 1e-9);
    EXPECT_NEAR(score.brier.collision[n], equal[n] / (kSamples * (kSamples - 1) * places), 1e-9);
  }
  EXPECT_GT(equal[3], 0);
}

class CalmRanksTest : public CalmScoreTest, public ::testing::WithParamInterface<uint32_t> {};

TEST_P(CalmRanksTest, AgreeWithOne) {
  Open(GetParam(), 6);
  Make(GetParam());
  const LanguageModelOptions options{.windows = 5, .samples = 4, .bootstrap = 50, .seed = 4};
  const LanguageModelScore whole = Score(options, &alone_);
  EXPECT_GT(whole.brier.collision[3], 0);
  for (const int ranks : {2, 3}) {
    cluster::RunInProcessGang(ranks, [&](cluster::Collectives& collectives) {
      const LanguageModelScore part = Score(options, &collectives);
      for (int n = 0; n < 4; ++n) {
        EXPECT_NEAR(part.brier.accuracy[n], whole.brier.accuracy[n], 1e-12);
        EXPECT_NEAR(part.brier.collision[n], whole.brier.collision[n], 1e-12);
      }
      EXPECT_NEAR(part.loss, whole.loss, 1e-6 * std::abs(whole.loss));
    });
  }
}

INSTANTIATE_TEST_SUITE_P(ChunkSizes, CalmRanksTest, ::testing::Values(1, 2, 4));

TEST_F(CalmScoreTest, TwoSampleProtocolTakesTwoDraws) {
  Open(2, 6);
  Make(2);
  LanguageModelOptions options{.windows = 100, .samples = 2, .bootstrap = 0, .seed = 6};
  const LanguageModelScore pairwise = Score(options, &alone_);
  options.protocol = model::BrierProtocol::kTwoSamples;
  options.samples = 7;
  const LanguageModelScore two = Score(options, &alone_);
  EXPECT_EQ(two.brier.accuracy, pairwise.brier.accuracy);
  EXPECT_EQ(two.brier.collision, pairwise.brier.collision);
}

TEST_F(CalmScoreTest, EveryHeadReportsItsOwnLoss) {
  Open(4, 4);
  const LanguageModelOptions options{.windows = 2, .samples = 2, .bootstrap = 0};
  jobs::ModelSpec spec = SmallModel();
  Make(4, spec);
  LanguageModelScore score = Score(options, &alone_);
  EXPECT_NEAR(score.loss, 2 * score.terms["target"] - score.terms["spread"], 1e-4 * score.loss);
  spec.head = jobs::HeadKind::kFlow;
  spec.flow_steps = 2;
  Make(4, spec);
  score = Score(options, &alone_);
  EXPECT_GT(score.loss, 0);
  EXPECT_EQ(score.brier.positions, 6u);
  spec.head = jobs::HeadKind::kDiffusion;
  spec.diffusion_steps = 3;
  Make(4, spec);
  score = Score(options, &alone_);
  EXPECT_NEAR(score.loss, score.terms["noise"] + score.terms["variational"], 1e-4 * score.loss);
}

TEST_F(CalmScoreTest, RefusesTextThatHoldsNothingToScore) {
  const auto code = [&] {
    return ScoreLanguageModel(*model_, *autoencoder_, *windows_, {.windows = 1}, alone_)
        .status()
        .code();
  };
  Make(2);
  Open(2, 1000);
  EXPECT_EQ(code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(WhyNoScore(*windows_), "");
  Open(2, 2);  // the second chunk is predicted, and holds two tokens
  EXPECT_EQ(code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(WhyNoScore(*windows_), "");
  Open(2, 3);
  EXPECT_EQ(WhyNoScore(*windows_), "");
}

TEST_F(CalmScoreTest, LatentsAreEncodedWhereNoneAreStored) {
  Make(4);
  auto packing = pipeline::Packing::Build(tokens_.get(), {4, kEndToken, kPadToken});
  ASSERT_TRUE(packing.ok());
  WriteLatents(**packing, [&](uint32_t shard, Split split, uint64_t chunk) {
    const auto rows = EncodeBatch(*autoencoder_, **packing, shard, {split, chunk, 1});
    const float* values = rows->const_data_ptr<float>();
    return std::vector<float>(values, values + rows->numel());
  });
  Open(4, 4);
  const LanguageModelOptions options{.windows = 100, .samples = 4, .bootstrap = 0, .seed = 4};
  const LanguageModelScore stored = Score(options, &alone_);
  latents_ = nullptr;
  windows_ = std::make_unique<pipeline::WindowLoader>(packing_.get(), nullptr, 4);
  const LanguageModelScore encoded = Score(options, &alone_);
  // One chunk at a time and a window at a time may differ in a last bit before they are rounded.
  EXPECT_NEAR(encoded.loss, stored.loss, 1e-3 * std::abs(stored.loss));
  EXPECT_GT(encoded.loss, 0);
}

// The arithmetic of a device's library and that of the cache.
TEST(AsStored, HasTheBitsThatACacheGivesBack) {
  std::vector<uint32_t> bits(100'000);
  PhiloxStream(1, NoiseStream::kEvaluation, 0, 0).FillBits(0, bits);
  for (size_t i = 0; i < bits.size(); ++i) {
    // Exponents of all sizes but that of what is not finite, which no cache takes.
    if (i % 2 == 0) bits[i] = (bits[i] & 0x87ffffff) | 0x38000000;
    if ((bits[i] & 0x7f800000) == 0x7f800000) bits[i] ^= 0x40000000;
  }
  const std::vector<float> values(reinterpret_cast<const float*>(bits.data()),
                                  reinterpret_cast<const float*>(bits.data()) + bits.size());
  for (const auto format : {jobs::LatentFormat::kFloat16, jobs::LatentFormat::kBFloat16,
                            jobs::LatentFormat::kFloat32}) {
    std::vector<float> expected = values;
    storage::RoundNumbers(format, expected);
    const at::Tensor rounded = AsStored(format, at::tensor(values));
    EXPECT_EQ(std::memcmp(rounded.const_data_ptr<float>(), expected.data(), 4 * values.size()), 0)
        << storage::NameOf(format);
  }
}

TEST_F(CalmScoreTest, EncodedLatentsAreAsACacheGivesThem) {
  Make(4);
  const at::Tensor tokens = at::tensor({0, 1, 2, 0, 2, 2, 1, 1, 0, 0, 1, 4}, at::kLong);
  const model::Posterior exact = autoencoder_->Encode(tokens.view({3, 4}));
  for (const auto format : {jobs::LatentFormat::kFloat16, jobs::LatentFormat::kBFloat16,
                            jobs::LatentFormat::kFloat32}) {
    const auto encoded = EncodeWindows(*autoencoder_, tokens.view({1, 3, 4}), format);
    ASSERT_TRUE(encoded.ok()) << encoded.status();
    const model::Posterior& posterior = *encoded;
    for (const auto& [made, of] :
         {std::pair(posterior.mean, exact.mean), std::pair(posterior.log_std, exact.log_std)}) {
      const at::Tensor rows = of.contiguous();
      std::vector<float> expected(rows.const_data_ptr<float>(),
                                  rows.const_data_ptr<float>() + rows.numel());
      storage::RoundNumbers(format, expected);
      EXPECT_TRUE(at::equal(made, at::tensor(expected).view_as(made))) << storage::NameOf(format);
    }
    EXPECT_EQ(at::equal(posterior.mean, exact.mean), format == jobs::LatentFormat::kFloat32);
    EXPECT_FALSE(posterior.mean.requires_grad());
  }
}

TEST_F(CalmScoreTest, WhatNoCacheWouldTakeIsRefusedByWhoeverEncodesIt) {
  Make(4);
  for (model::Unit* unit : autoencoder_->units()) {
    for (model::Parameter& parameter : unit->parameters()) parameter.value.detach().mul_(1000);
  }
  const at::Tensor tokens = at::tensor({0, 1, 2, 0, 2, 2, 1, 1, 0, 0, 1, 4}, at::kLong);
  const at::Tensor windows = tokens.view({1, 3, 4});
  EXPECT_TRUE(EncodeWindows(*autoencoder_, windows, jobs::LatentFormat::kFloat32).ok());
  const auto refused = EncodeWindows(*autoencoder_, windows, jobs::LatentFormat::kFloat16);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(refused.status()),
              AllOf(HasSubstr("window 0 of those read together, chunk "),
                    HasSubstr("which no float16 can; the autoencoder has diverged")));
}

class BaselineScoreTest : public ScoreTest {
 protected:
  BaselineScoreTest() : model_(Spec(), kVocabulary) { FillRandomly(model_.units(), 31); }
  static jobs::ModelSpec Spec() {
    jobs::ModelSpec spec = SmallModel();
    spec.head = jobs::HeadKind::kSoftmax;
    return spec;
  }
  LanguageModelScore Score(const LanguageModelOptions& options, cluster::Collectives* ranks) {
    const auto score = ScoreBaseline(model_, *windows_, options, *ranks);
    EXPECT_TRUE(score.ok()) << score.status();
    return *score;
  }

  // P(x1 x2 x3 x4 | the first `start` tokens) of all sequences of four, by running each of them.
  std::vector<double> Probabilities(const std::vector<int64_t>& text, int64_t start) {
    std::vector<int64_t> rows;
    for (int64_t code = 0; code < 625; ++code) {
      rows.insert(rows.end(), text.begin(), text.begin() + start);
      for (const int64_t unit : {125, 25, 5, 1}) rows.push_back(code / unit % 5);
    }
    const at::Tensor tokens = at::tensor(rows).view({625, start + 4});
    const at::Tensor log_p = at::log_softmax(model_.Logits(tokens).to(at::kDouble), 2);
    const at::Tensor next = tokens.narrow(1, start, 4).unsqueeze(2);
    const at::Tensor product = log_p.narrow(1, start - 1, 4).gather(2, next).sum({1, 2}).exp();
    return {product.const_data_ptr<double>(), product.const_data_ptr<double>() + 625};
  }

  model::BaselineModel model_;
};

TEST_F(BaselineScoreTest, WithADocumentMaskATokenSeesItsDocumentAlone) {
  c10::NoGradGuard no_grad;
  constexpr int64_t kChunks = 6, kChunkSize = 2;
  Open(kChunkSize, kChunks);
  jobs::ModelSpec spec = Spec();
  spec.document_mask = true;
  model::BaselineModel model(spec, kVocabulary);
  FillRandomly(model.units(), 31);
  const auto score = ScoreBaseline(model, *windows_, {.windows = 100, .bootstrap = 0}, alone_);
  ASSERT_TRUE(score.ok()) << score.status();
  double nats = 0, places = 0;
  bool has_two = false;
  for (uint64_t window = 0; window < windows_->Windows(Split::kHeldout); ++window) {
    const at::Tensor text = at::tensor(Window(window));
    const auto documents = *windows_->Documents(Split::kHeldout, window);
    for (int64_t i = 0; i + 1 < kChunks * kChunkSize; ++i) {
      int64_t first = i / kChunkSize;
      while (first > 0 && documents[first - 1] == documents[i / kChunkSize]) --first;
      has_two |= first > 0;
      const int64_t begin = first * kChunkSize;
      const at::Tensor logits = model.Logits(text.narrow(0, begin, i + 1 - begin).unsqueeze(0))[0];
      nats -= at::log_softmax(logits[-1], 0)[text[i + 1].item<int64_t>()].item<double>();
      ++places;
    }
  }
  EXPECT_TRUE(has_two);
  EXPECT_NEAR(score->loss, nats / places, 1e-5);
  EXPECT_GT(std::abs(Score({.windows = 100, .bootstrap = 0}, &alone_).loss - score->loss), 1e-3);
}

// 150 seeds, 5 standard errors: six figures give a false alarm once in 290000 choices of seeds.
TEST_F(BaselineScoreTest, AccuracyIsExactAndCollisionUnbiased) {
  c10::NoGradGuard no_grad;
  constexpr int64_t kChunks = 5, kChunkSize = 2;
  Open(kChunkSize, kChunks);
  const uint64_t total = windows_->Windows(Split::kHeldout);
  std::array<double, 4> accuracy{}, collision{};
  const int64_t places = static_cast<int64_t>(total) * (kChunks - 2);
  for (uint64_t window = 0; window < total; ++window) {
    const std::vector<int64_t> text = Window(window);
    for (int64_t start = kChunkSize; start + 4 <= kChunks * kChunkSize; start += kChunkSize) {
      const std::vector<double> p = Probabilities(text, start);
      for (int n = 1; n <= 4; ++n) {
        const int64_t tail = std::lround(std::pow(5, 4 - n));
        int64_t truth = 0;
        for (int64_t i = 0; i < 4; ++i) truth = 5 * truth + text[start + i];
        for (int64_t gram = 0; gram < 625 / tail; ++gram) {
          double probability = 0;
          for (int64_t rest = 0; rest < tail; ++rest) probability += p[gram * tail + rest];
          collision[n - 1] += probability * probability / static_cast<double>(places);
          if (gram == truth / tail) accuracy[n - 1] += probability / static_cast<double>(places);
        }
      }
    }
  }
  for (const auto protocol : {model::BrierProtocol::kPairwise, model::BrierProtocol::kTwoSamples}) {
    std::array<double, 4> sum{}, squares{};
    constexpr int kSeeds = 150;
    for (int seed = 0; seed < kSeeds; ++seed) {
      const LanguageModelScore score = Score({.windows = 100,
                                              .bootstrap = 0,
                                              .seed = static_cast<uint64_t>(seed),
                                              .protocol = protocol},
                                             &alone_);
      ASSERT_EQ(score.brier.positions, static_cast<uint64_t>(places));
      for (int n = 0; n < 4; ++n) {
        EXPECT_NEAR(score.brier.accuracy[n], accuracy[n], 1e-6);
        sum[n] += score.brier.collision[n] / kSeeds;
        squares[n] += score.brier.collision[n] * score.brier.collision[n] / kSeeds;
      }
    }
    EXPECT_NEAR(sum[0], collision[0], 1e-6);
    for (int n = 1; n < 4; ++n) {
      const double error = std::sqrt((squares[n] - sum[n] * sum[n]) / kSeeds);
      EXPECT_NEAR(sum[n], collision[n], 5 * error + 1e-7) << n + 1 << "-grams";
    }
  }
}

TEST_F(BaselineScoreTest, CrossEntropyLeavesPaddingAndTheFirstChunkOut) {
  c10::NoGradGuard no_grad;
  Open(4, 3);
  const LanguageModelScore score = Score({.windows = 100, .bootstrap = 0}, &alone_);
  double all = 0, real = 0, all_count = 0, real_count = 0;
  for (uint64_t window = 0; window < windows_->Windows(Split::kHeldout); ++window) {
    const std::vector<int64_t> text = Window(window);
    const at::Tensor log_p =
        at::log_softmax(model_.Logits(at::tensor(text).unsqueeze(0)).to(at::kDouble), 2)[0];
    for (size_t i = 0; i + 1 < text.size(); ++i) {
      const double nats = -log_p[static_cast<int64_t>(i)][text[i + 1]].item<double>();
      all += nats;
      all_count += 1;
      if (i + 1 < 4 || text[i + 1] == kPadToken) continue;
      real += nats;
      real_count += 1;
    }
  }
  ASSERT_LT(real_count, all_count);
  EXPECT_NEAR(score.loss, all / all_count, 1e-5);
  EXPECT_NEAR(score.terms.at("cross_entropy"), real / real_count, 1e-5);
  EXPECT_EQ(score.token_context, 12u);
}

TEST_F(BaselineScoreTest, PartsOfTheTextTogetherAreTheWhole) {
  Open(2, 6);
  const uint64_t total = windows_->Windows(Split::kHeldout);
  ASSERT_GE(total, 3u);
  const LanguageModelScore whole = Score({.windows = 100, .bootstrap = 0}, &alone_);
  double loss = 0;
  uint64_t positions = 0;
  for (const WindowRange range : {WindowRange{0, 2}, WindowRange{2, total - 2}}) {
    const LanguageModelScore part =
        Score({.windows = 100, .range = range, .bootstrap = 0}, &alone_);
    EXPECT_EQ(part.windows, range.count);
    EXPECT_NE(part.loss, whole.loss);
    loss += part.loss * static_cast<double>(range.count) / static_cast<double>(total);
    positions += part.brier.positions;
  }
  EXPECT_NEAR(loss, whole.loss, 1e-9);
  EXPECT_EQ(positions, whole.brier.positions);
}

TEST_F(BaselineScoreTest, RanksAgreeWithOne) {
  Open(2, 6);
  const LanguageModelOptions options{.windows = 5, .bootstrap = 50, .seed = 4};
  const LanguageModelScore whole = Score(options, &alone_);
  cluster::RunInProcessGang(2, [&](cluster::Collectives& collectives) {
    const LanguageModelScore part = Score(options, &collectives);
    for (int n = 0; n < 4; ++n) {
      EXPECT_NEAR(part.brier.collision[n], whole.brier.collision[n], 1e-12);
    }
    EXPECT_NEAR(part.terms.at("cross_entropy"), whole.terms.at("cross_entropy"), 1e-9);
  });
}

}  // namespace
}  // namespace halcyon::worker
