#include "pipeline/samples/window_loader.h"

#include "tests/pipeline/cache_fixture.h"

namespace halcyon::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// With K = 2: 3 + 1 chunks in shard 0, none in shard 1, 5 in shard 2.
const std::vector<ShardDocuments> kShards = {
    {{{{1, 2, 3, 4}, {5}}, {{90}}}}, {}, {{{{6, 7, 8}, {9, 10, 11, 12}}, {{91}, {92}}}}};

class WindowLoaderTest : public CachedDataTest {
 protected:
  void SetUp() override {
    WriteTokens(kShards);
    packing_ = Pack(2);
    WriteLatents(*packing_);
  }
  std::unique_ptr<Packing> packing_;
};

TEST_F(WindowLoaderTest, WindowsAreWholeAndInOrder) {
  const WindowLoader loader(packing_.get(), latents_.get(), 4);
  ASSERT_EQ(packing_->Chunks(Split::kTrain), 9u);
  EXPECT_EQ(loader.Windows(Split::kTrain), 2u);  // the ninth chunk is left out
  EXPECT_EQ(loader.Windows(Split::kHeldout), 0u);
  EXPECT_EQ(WindowLoader(packing_.get(), latents_.get(), 9).Windows(Split::kTrain), 1u);
  EXPECT_EQ(WindowLoader(packing_.get(), latents_.get(), 10).Windows(Split::kTrain), 0u);
}

TEST_F(WindowLoaderTest, TokensAndPosteriorsBelongTogetherAcrossShards) {
  for (const uint32_t size : {1, 2, 3, 4, 9}) {
    const WindowLoader loader(packing_.get(), latents_.get(), size);
    for (uint64_t window = 0; window < loader.Windows(Split::kTrain); ++window) {
      std::vector<uint32_t> tokens = {77};
      std::vector<float> posteriors = {0.5f};
      ASSERT_TRUE(loader.Load(Split::kTrain, window, &tokens, &posteriors).ok());
      std::vector<uint32_t> expected_tokens = {77};  // Load appends
      std::vector<float> expected_posteriors = {0.5f};
      for (uint64_t chunk = window * size; chunk < (window + 1) * size; ++chunk) {
        std::vector<uint32_t> ids(2);
        ASSERT_TRUE(packing_->Tokens(Split::kTrain, chunk, ids).ok());
        expected_tokens.insert(expected_tokens.end(), ids.begin(), ids.end());
        const bool in_first_shard = chunk < 4;
        for (const float value :
             Posterior(in_first_shard ? 0 : 2, Split::kTrain, in_first_shard ? chunk : chunk - 4)) {
          expected_posteriors.push_back(value);
        }
      }
      EXPECT_EQ(tokens, expected_tokens);
      EXPECT_EQ(posteriors, expected_posteriors);
    }
  }
}

TEST_F(WindowLoaderTest, WithoutLatentsThereAreTokensAlone) {
  const WindowLoader loader(packing_.get(), nullptr, 4);
  std::vector<uint32_t> tokens;
  std::vector<float> posteriors;
  ASSERT_TRUE(loader.Load(Split::kTrain, 1, &tokens, &posteriors).ok());
  EXPECT_EQ(tokens.size(), 8u);
  EXPECT_TRUE(posteriors.empty());
}

// A stream of the last shard only: its windows bring that shard's tokens and posteriors.
TEST_F(WindowLoaderTest, ShardsLeftOutOfTheStreamAreSkipped) {
  auto some = Packing::Build(tokens_.get(), {.chunk_size = 2, .end_of_text = kEnd, .padding = kPad},
                             {false, true, true});
  ASSERT_TRUE(some.ok());
  EXPECT_EQ((*some)->Chunks(Split::kTrain), 5u);
  EXPECT_EQ((*some)->Chunks(Split::kHeldout), packing_->Chunks(Split::kHeldout));
  const WindowLoader loader(some->get(), latents_.get(), 5);
  std::vector<uint32_t> tokens, expected(10);
  std::vector<float> posteriors;
  ASSERT_TRUE(loader.Load(Split::kTrain, 0, &tokens, &posteriors).ok());
  ASSERT_TRUE(packing_->Tokens(Split::kTrain, 4, expected).ok());
  EXPECT_EQ(tokens, expected);
  EXPECT_EQ(posteriors[0], Posterior(2, Split::kTrain, 0)[0]);
  EXPECT_EQ(posteriors[1], Posterior(2, Split::kTrain, 0)[1]);
}

TEST(ChooseShardsTest, AFractionAtLeastOneAndTheSameEachTime) {
  const auto count = [](uint32_t shards, double fraction) {
    const std::vector<bool> chosen = ChooseShards(shards, fraction);
    EXPECT_EQ(chosen.size(), shards);
    EXPECT_EQ(chosen, ChooseShards(shards, fraction));
    return std::count(chosen.begin(), chosen.end(), true);
  };
  EXPECT_EQ(count(10, 0.3), 3);
  EXPECT_EQ(count(10, 1), 10);
  EXPECT_EQ(count(10, 0.001), 1);
  EXPECT_EQ(count(1, 0.5), 1);
  EXPECT_EQ(count(0, 0.5), 0);
  // Held-out shards change nothing of the choice among the others.
  std::vector<bool> chosen = ChooseShards(40, 0.3);
  chosen.resize(50, false);
  EXPECT_EQ(ChooseShards(50, 0.3, 10), chosen);
  EXPECT_EQ(ChooseShards(3, 1, 3), std::vector<bool>(3, false));
  // A larger fraction keeps what a smaller one has.
  const std::vector<bool> less = ChooseShards(50, 0.2), more = ChooseShards(50, 0.6);
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(!less[i] || more[i]);
}

TEST_F(WindowLoaderTest, DocumentsOfAWindow) {
  const WindowLoader loader(packing_.get(), latents_.get(), 4);
  EXPECT_THAT(*loader.Documents(Split::kTrain, 0), ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(*loader.Documents(Split::kTrain, 1), ElementsAre(2, 2, 3, 3));
}

TEST_F(WindowLoaderTest, LatentsOfAnotherPackingAreRefused) {
  const auto other = Pack(3);
  const WindowLoader loader(other.get(), latents_.get(), 2);
  std::vector<uint32_t> tokens;
  std::vector<float> posteriors;
  const absl::Status status = loader.Load(Split::kTrain, 0, &tokens, &posteriors);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(status), HasSubstr("another chunk size"));
}

}  // namespace
}  // namespace halcyon::pipeline
