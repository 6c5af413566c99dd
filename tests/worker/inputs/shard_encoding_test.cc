#include "worker/inputs/shard_encoding.h"

#include <ATen/ATen.h>

#include <set>

#include "base/philox.h"
#include "jobs/presets.h"
#include "tests/pipeline/cache_fixture.h"
#include "tests/worker/random_networks.h"
#include "worker/inputs/latent_batches.h"

namespace halcyon::worker {
namespace {

using pipeline::Document;
using pipeline::Split;

class ShardEncodingTest : public pipeline::CachedDataTest {
 protected:
  // Tokens of which the n-th most frequent one comes 1/n times as often, about, as in text.
  static Document Text(uint64_t seed, size_t tokens) {
    const PhiloxStream random(seed, NoiseStream::kEvaluation, 0, 0);
    Document text(tokens);
    for (size_t i = 0; i < tokens; ++i) {
      text[i] = static_cast<uint32_t>(random.Below(2 * i, 1 + random.Below(2 * i + 1, 40)));
    }
    return text;
  }

  void Make(int64_t chunk_size, jobs::AutoencoderSpec spec) {
    spec.chunk_size = chunk_size;
    autoencoder_ = std::make_unique<model::Autoencoder>(spec, pipeline::kPad + 1);
    FillRandomly(autoencoder_->units(), 21);
    packing_ = Pack(static_cast<uint32_t>(chunk_size));
  }

  struct Encoded {
    uint64_t chunks = 0;
    std::array<std::vector<float>, storage::kSplits> rows;
  };
  Encoded Encode(uint32_t shard, bool distinct_once) {
    const size_t width = 2 * static_cast<size_t>(autoencoder_->spec().latent_size);
    Encoded encoded;
    const auto chunks =
        EncodeShard(*autoencoder_, *packing_, shard, distinct_once,
                    [&](Split split, std::span<const float> rows) {
                      EXPECT_GT(rows.size(), 0u);
                      EXPECT_LE(rows.size(), kLatentBatchChunks * width);
                      EXPECT_TRUE(split == Split::kHeldout || encoded.rows[1].empty());
                      auto& all = encoded.rows[static_cast<size_t>(split)];
                      all.insert(all.end(), rows.begin(), rows.end());
                      return absl::OkStatus();
                    });
    EXPECT_TRUE(chunks.ok()) << chunks.status();
    encoded.chunks = chunks.value_or(0);
    return encoded;
  }

  // What is to be encoded of a split, by brute force.
  uint64_t ChunksToEncode(uint32_t shard, Split split) {
    const uint64_t chunks = packing_->ChunksOfShard(shard, split);
    const uint64_t whole = chunks - chunks % kLatentBatchChunks;
    uint64_t count = chunks - whole;
    for (uint64_t first = 0; first < whole; first += kChunksSearched) {
      const uint64_t searched = std::min(kChunksSearched, whole - first);
      const size_t chunk_size = packing_->rule().chunk_size;
      std::vector<uint32_t> ids(searched * chunk_size);
      EXPECT_TRUE(packing_->TokensOfShard(shard, split, first, ids).ok());
      std::set<std::vector<uint32_t>> distinct;
      for (auto at = ids.begin(); at != ids.end(); at += static_cast<int64_t>(chunk_size)) {
        distinct.emplace(at, at + static_cast<int64_t>(chunk_size));
      }
      count += distinct.size();
    }
    return count;
  }

  void ExpectTheSameBits(uint32_t shard) {
    const Encoded plain = Encode(shard, false), once = Encode(shard, true);
    EXPECT_EQ(plain.chunks, packing_->ChunksOfShard(shard, Split::kTrain) +
                                packing_->ChunksOfShard(shard, Split::kHeldout));
    EXPECT_EQ(once.chunks,
              ChunksToEncode(shard, Split::kTrain) + ChunksToEncode(shard, Split::kHeldout));
    for (int split = 0; split < storage::kSplits; ++split) {
      EXPECT_TRUE(once.rows[split] == plain.rows[split]) << "shard " << shard << ", " << split;
    }
  }

  std::unique_ptr<model::Autoencoder> autoencoder_;
  std::unique_ptr<pipeline::Packing> packing_;
};

TEST_F(ShardEncodingTest, RepeatedChunksHaveTheBitsOfThoseThatAreEncoded) {
  // Whole batches and a rest; less than a batch; a text of one chunk alone; nothing.
  WriteTokens({{{{Text(1, 9'001), Text(2, 400)}, {Text(3, 5'000)}}},
               {{{Text(4, 50)}, {}}},
               {{{}, {Document(4'100, 7)}}},
               {{{}, {}}}});
  Make(2, SmallAutoencoder(2, 3));
  for (uint32_t shard = 0; shard < 4; ++shard) ExpectTheSameBits(shard);
  EXPECT_LT(Encode(0, true).chunks, Encode(0, false).chunks * 3 / 4);
}

TEST_F(ShardEncodingTest, ALongTextIsSearchedPartByPart) {
  WriteTokens({{{{Text(1, kChunksSearched + 5'000)}, {}}}});
  Make(1, SmallAutoencoder(1, 3));
  ExpectTheSameBits(0);
}

class PrecisionTest : public ShardEncodingTest,
                      public ::testing::WithParamInterface<jobs::Precision> {};
INSTANTIATE_TEST_SUITE_P(Precisions, PrecisionTest,
                         ::testing::Values(jobs::Precision::kFloat32, jobs::Precision::kBFloat16),
                         [](const auto& info) {
                           return info.param == jobs::Precision::kFloat32 ? "Float32" : "BFloat16";
                         });

// Products large enough for the library that takes over from some size on.
TEST_P(PrecisionTest, ThePapersAutoencoderHasTheSameBits) {
  WriteTokens({{{{Text(1, 4 * 2'600)}, {}}}});
  Make(4, jobs::PaperAutoencoder());
  autoencoder_->EncodeIn(GetParam());
  EXPECT_TRUE(RowsAreIndependent(*autoencoder_));
  ExpectTheSameBits(0);
  EXPECT_TRUE(PrepareEncoding(*autoencoder_, uint64_t{1} << 20));
  EXPECT_TRUE(RowsAreIndependent(*autoencoder_));
  ExpectTheSameBits(0);
}

TEST_F(ShardEncodingTest, AnErrorOfTheUserEndsIt) {
  WriteTokens({{{{Text(1, 9'000)}, {}}}});
  Make(2, SmallAutoencoder(2, 3));
  for (const bool once : {false, true}) {
    int calls = 0;
    const auto encoded =
        EncodeShard(*autoencoder_, *packing_, 0, once, [&](Split, std::span<const float>) {
          ++calls;
          return ResourceExhausted("full");
        });
    EXPECT_EQ(encoded.status().code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(calls, 1);
  }
}

}  // namespace
}  // namespace halcyon::worker
