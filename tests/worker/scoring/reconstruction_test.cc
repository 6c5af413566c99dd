#include "worker/scoring/reconstruction.h"

#include <ATen/ATen.h>

#include <cmath>
#include <map>

#include "cluster/in_process_gang.h"
#include "tests/pipeline/cache_fixture.h"

namespace halcyon::worker {
namespace {

using pipeline::kEnd;
using pipeline::kPad;

// Tokens 0, 1 and 2 are a word, a digit and a full stop; no other occurs.
class ThreeTokens : public pipeline::Tokenizer {
 public:
  uint32_t vocab_size() const override { return 1002; }
  uint32_t end_of_text() const override { return kEnd; }
  uint32_t padding() const override { return kPad; }
  std::string_view Bytes(uint32_t id) const override { return id == 1 ? "7" : id == 2 ? "." : "a"; }
  absl::StatusOr<std::string> Decode(std::span<const uint32_t>, bool) const override { return ""; }
  std::string ToJson() const override { return ""; }
};

constexpr int64_t kKinds = 5;  // 0, 1, 2, kEnd, kPad: coordinate i of a place stands for kind i
constexpr int64_t kWidth = 2 * kKinds;
constexpr double kStrength[kKinds] = {2.0, 0.4, -0.5, 1.0, -1.0};
constexpr double kLogStd[kKinds] = {-0.5, -1.5, 0.0, 0.25, -3.0};

// K = 2 without layers: the latent's mean is kStrength at the coordinates of the chunk's two
// tokens and 0 elsewhere, and the decoder takes the largest coordinate of each place, or a token
// that never occurs when none is above 0. So a kind of negative strength is never right.
class ReconstructionTest : public pipeline::CachedDataTest {
 protected:
  static constexpr int kDocuments = 30;

  void SetUp() override {
    jobs::AutoencoderSpec spec;
    spec.chunk_size = 2;
    spec.latent_size = spec.hidden_size = kWidth;
    spec.intermediate_size = 4;
    spec.encoder_layers = spec.decoder_layers = 0;
    autoencoder_ = std::make_unique<model::Autoencoder>(spec, 1002);
    for (model::Unit* unit : autoencoder_->units()) {
      unit->Materialise();
      for (model::Parameter& parameter : unit->parameters()) {
        values_[parameter.name] = parameter.value.detach();
      }
    }
    values_["encoder.norm.weight"].fill_(1);
    values_["decoder.norm.weight"].fill_(1);
    const int64_t ids[kKinds] = {0, 1, 2, kEnd, kPad};
    for (int64_t kind = 0; kind < kKinds; ++kind) {
      values_["embedding"][ids[kind]][kind] = 1;
      for (int64_t place = 0; place < 2; ++place) {
        const int64_t d = place * kKinds + kind;
        values_["encoder.squeeze.weight"][d][place * kWidth + kind] = 1;
        // The norm made the two ones of a chunk sqrt(kKinds).
        values_["encoder.posterior.weight"][d][d] = kStrength[kind] / std::sqrt(double{kKinds});
        values_["encoder.posterior.bias"][kWidth + d] = kLogStd[kind];
        values_["decoder.from_latent.weight"][d][d] = 1;
        values_["decoder.expand.weight"][place * kWidth + kind][d] = 1;
      }
    }
    WriteTokens({{{{}, HeldOut()}}});
    packing_ = Pack(2);
  }

  // Words twice as often as digits and full stops: 0 1 0 2 ... then end-of-text and padding.
  virtual std::vector<pipeline::Document> HeldOut() const {
    pipeline::Document document;
    for (int i = 0; i < 200; ++i) document.push_back(i % 2 == 0 ? 0 : 1 + i / 2 % 2);
    return std::vector<pipeline::Document>(kDocuments, document);
  }

  // P(kind comes back | its coordinate is strength + std n, the others of its place are std n).
  static double Probability(int64_t kind, const double (&std)[kKinds]) {
    const auto below = [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); };
    double sum = 0;
    constexpr double kStep = 1e-3;
    for (double n = -8 + kStep / 2; n < 8; n += kStep) {
      const double value = kStrength[kind] + std[kind] * n;
      if (value < 0) continue;
      double density = std::exp(-n * n / 2) / std::sqrt(2 * M_PI);
      for (int64_t other = 0; other < kKinds; ++other) {
        if (other != kind) density *= below(value / std[other]);
      }
      sum += kStep * density;
    }
    return sum;
  }

  absl::StatusOr<Reconstruction> Measure(const ReconstructionOptions& options) {
    cluster::SingleRank alone;
    return MeasureReconstruction(*autoencoder_, *packing_, options, alone);
  }

  std::map<std::string, at::Tensor> values_;
  std::unique_ptr<model::Autoencoder> autoencoder_;
  std::unique_ptr<pipeline::Packing> packing_;
};

// Twelve figures within 5 standard errors: a false alarm once in 140000 seeds.
TEST_F(ReconstructionTest, AccuraciesAreTheConstructionsProbabilities) {
  std::vector<uint64_t> counts(1002, 0);
  counts[0] = 5000;
  counts[1] = 3;
  counts[2] = 4000;
  counts[kEnd] = 1000;
  const TokenClasses classes(ThreeTokens(), counts);
  const auto result = Measure({.noise_std = 0.7, .seed = 3, .classes = &classes});
  ASSERT_TRUE(result.ok()) << result.status();
  const double noisy[kKinds] = {0.7, 0.7, 0.7, 0.7, 0.7};
  double drawn[kKinds];
  for (int64_t kind = 0; kind < kKinds; ++kind) drawn[kind] = std::exp(kLogStd[kind]);

  const auto by_class = [&](TokenClass of) { return result->by_class[static_cast<size_t>(of)]; };
  const std::array<Reconstruction::Accuracy, 4> measured = {
      by_class(TokenClass::kWords), by_class(TokenClass::kDigits),
      by_class(TokenClass::kPunctuation), by_class(TokenClass::kOther)};
  const std::array<uint64_t, 4> tokens = {100, 50, 50, 1};  // a document
  double all_noisy = 0;
  for (int64_t kind = 0; kind < 4; ++kind) {
    const auto count = static_cast<double>(kDocuments * tokens[kind]);
    EXPECT_EQ(measured[kind].tokens, count);
    EXPECT_EQ(measured[kind].mean, kStrength[kind] > 0 ? 1 : 0);
    const auto near = [&](double value, double probability) {
      EXPECT_NEAR(value, probability, 5 * std::sqrt(probability * (1 - probability) / count))
          << "kind " << kind;
    };
    near(measured[kind].noisy, Probability(kind, noisy));
    near(measured[kind].posterior, Probability(kind, drawn));
    all_noisy += measured[kind].noisy * count;
  }
  EXPECT_EQ(by_class(TokenClass::kWhitespace).tokens, 0u);
  EXPECT_EQ(result->rare.tokens, kDocuments * 50u);
  EXPECT_EQ(result->rare.noisy, measured[1].noisy);
  EXPECT_EQ(result->all.tokens, kDocuments * 201u);  // without the padding
  EXPECT_NEAR(result->all.mean, 151.0 / 201.0, 1e-12);
  EXPECT_NEAR(result->all.noisy, all_noisy / (kDocuments * 201), 1e-12);
}

TEST_F(ReconstructionTest, DimensionsHaveTheConstructionsMoments) {
  const auto result = Measure({});
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->chunks, kDocuments * 101u);
  // How often each kind stands at each place of a document's 101 chunks.
  const double frequency[2][kKinds] = {{100, 0, 0, 1, 0}, {0, 50, 50, 0, 1}};
  int64_t active = 0;
  for (int64_t d = 0; d < kWidth; ++d) {
    const int64_t kind = d % kKinds;
    const double share = frequency[d / kKinds][kind] / 101, strength = kStrength[kind];
    const double variance = strength * strength * share * (1 - share);
    EXPECT_NEAR(result->variance[d], variance, 1e-4) << d;
    EXPECT_NEAR(result->kl[d],
                (strength * strength * share + std::exp(2 * kLogStd[kind]) - 1) / 2 - kLogStd[kind],
                1e-4)
        << d;
    active += variance > 0.01;
  }
  EXPECT_EQ(result->ActiveDimensions(), active);
  EXPECT_LT(active, kWidth);
  EXPECT_GT(active, 0);
}

TEST_F(ReconstructionTest, RanksAgreeWithOne) {
  const auto whole = Measure({.seed = 5});
  ASSERT_TRUE(whole.ok());
  cluster::RunInProcessGang(2, [&](cluster::Collectives& collectives) {
    // Three blocks: in the second turn a rank has none.
    const auto part = MeasureReconstruction(*autoencoder_, *packing_, {.seed = 5}, collectives);
    ASSERT_TRUE(part.ok()) << part.status();
    EXPECT_EQ(part->all.tokens, whole->all.tokens);
    EXPECT_EQ(part->all.noisy, whole->all.noisy);
    EXPECT_EQ(part->all.posterior, whole->all.posterior);
    EXPECT_EQ(part->chunks, whole->chunks);
    for (int64_t d = 0; d < kWidth; ++d) EXPECT_NEAR(part->kl[d], whole->kl[d], 1e-12);
  });
}

TEST_F(ReconstructionTest, LooksAtAsManyChunksAsAsked) {
  const auto result = Measure({.chunks_max = 7});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->chunks, 7u);
  EXPECT_EQ(result->all.tokens, 14u);
}

// The first half of the text is right and the second is not.
class UnevenTextTest : public ReconstructionTest {
 protected:
  std::vector<pipeline::Document> HeldOut() const override {
    std::vector<pipeline::Document> documents(20, pipeline::Document(200, 0));
    documents.resize(40, pipeline::Document(200, 2));
    return documents;
  }
};

TEST_F(UnevenTextTest, APartIsTakenFromAllOfIt) {
  const auto result = Measure({.chunks_max = 2048, .with_posterior = false});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->chunks, 2048u);
  EXPECT_NEAR(result->all.mean, 0.5, 0.02);
}

class NothingHeldOutTest : public pipeline::CachedDataTest {};

TEST_F(NothingHeldOutTest, IsNoError) {
  WriteTokens({{{{{1, 2}}, {}}}});
  const auto packing = Pack(4);
  model::Autoencoder autoencoder({.hidden_size = 8, .intermediate_size = 8}, 1002);
  cluster::SingleRank alone;
  const auto result = MeasureReconstruction(autoencoder, *packing, {}, alone);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->all.tokens, 0u);
  EXPECT_EQ(result->all.mean, 0);
  EXPECT_EQ(result->ActiveDimensions(), 0);
}

TEST_F(ReconstructionTest, ReportsClassesAndDimensions) {
  const TokenClasses classes(ThreeTokens(), std::vector<uint64_t>(1002, 0));
  const ReconstructionOptions options{.chunks_max = 100, .classes = &classes};
  const auto result = Measure(options);
  ASSERT_TRUE(result.ok());
  const nlohmann::json report = ToJson(*result, options, /*variational=*/true);
  EXPECT_EQ(report["tokens"], 200);
  EXPECT_EQ(report["mean"], 0.75);
  EXPECT_EQ(report["noise_std"], 0.3);
  EXPECT_EQ(report["kl_by_dimension"].size(), static_cast<size_t>(kWidth));
  EXPECT_EQ(report["classes"]["digits"]["tokens"], 50);
  EXPECT_EQ(report["classes"]["punctuation"]["mean"], 0.0);
  EXPECT_EQ(report["classes"]["rare"]["tokens"], 200);  // nothing was counted
  const std::string text = ReconstructionText(report);
  EXPECT_THAT(text, ::testing::HasSubstr("75.000 %"));
  EXPECT_THAT(text, ::testing::HasSubstr("whitespace            0            -"));
  EXPECT_THAT(text, ::testing::HasSubstr("of 10 latent dimensions are active; KL "));

  const nlohmann::json plain = ToJson(*result, options, /*variational=*/false);
  EXPECT_FALSE(plain.contains("posterior") || plain.contains("kl"));
  EXPECT_THAT(ReconstructionText(plain), ::testing::Not(::testing::HasSubstr("KL")));
}

}  // namespace
}  // namespace halcyon::worker
