#include "pipeline/samples/packing.h"

#include <atomic>
#include <thread>

#include "base/philox.h"
#include "tests/pipeline/cache_fixture.h"

namespace halcyon::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

// The stream of one shard and split, and each chunk's document, straight from the definition.
struct Expected {
  std::vector<uint32_t> tokens;
  std::vector<uint64_t> documents;
};

Expected PackedByHand(const std::vector<Document>& documents, uint32_t chunk_size) {
  Expected expected;
  for (uint64_t i = 0; i < documents.size(); ++i) {
    Document packed = documents[i];
    packed.push_back(kEnd);
    while (packed.size() % chunk_size != 0) packed.push_back(kPad);
    expected.tokens.insert(expected.tokens.end(), packed.begin(), packed.end());
    expected.documents.insert(expected.documents.end(), packed.size() / chunk_size, i);
  }
  return expected;
}

// Documents of 0 to 9 tokens; shard 1 has none for training, shard 2 none held out.
std::vector<ShardDocuments> RandomShards() {
  const PhiloxStream stream(4, NoiseStream::kEvaluation, 0, 0);
  std::vector<ShardDocuments> shards(4);
  uint64_t draw = 0;
  for (uint32_t shard = 0; shard < shards.size(); ++shard) {
    for (uint32_t split = 0; split < storage::kSplits; ++split) {
      if (shard == split + 1) continue;
      shards[shard][split].resize(stream.Below(draw++, 8));
      for (Document& document : shards[shard][split]) {
        document.resize(stream.Below(draw++, 10));
        for (uint32_t& token : document) token = stream.Below(draw++, 1000);
      }
    }
  }
  return shards;
}

class PackingTest : public CachedDataTest {};

TEST_F(PackingTest, ADocumentEndsWithEndOfTextAndPadding) {
  WriteTokens({{{{{1, 2, 3}, {4, 5, 6, 7}, {}, {8}}, {}}}});
  const auto packing = Pack(4);
  std::vector<uint32_t> tokens(5 * 4);
  ASSERT_EQ(packing->Chunks(Split::kTrain), 5u);
  ASSERT_TRUE(packing->Tokens(Split::kTrain, 0, tokens).ok());
  EXPECT_THAT(tokens, ElementsAre(1, 2, 3, kEnd,                       //
                                  4, 5, 6, 7, kEnd, kPad, kPad, kPad,  //
                                  kEnd, kPad, kPad, kPad, 8, kEnd, kPad, kPad));
  EXPECT_EQ(packing->Chunks(Split::kHeldout), 0u);
  EXPECT_EQ(packing->Documents(Split::kTrain), 4u);
}

TEST_F(PackingTest, EveryRangeOfEveryStreamIsTheDefinitions) {
  const auto shards = RandomShards();
  WriteTokens(shards);
  for (const uint32_t chunk_size : {1, 2, 3, 4, 7, 16}) {
    const auto packing = Pack(chunk_size);
    for (const Split split : {Split::kTrain, Split::kHeldout}) {
      std::vector<Document> all;
      std::vector<std::pair<uint32_t, uint64_t>> places;
      for (uint32_t shard = 0; shard < shards.size(); ++shard) {
        const auto& documents = shards[shard][static_cast<int>(split)];
        const uint64_t chunks = PackedByHand(documents, chunk_size).documents.size();
        ASSERT_EQ(packing->ChunksOfShard(shard, split), chunks);
        for (uint64_t i = 0; i < chunks; ++i) places.emplace_back(shard, i);
        all.insert(all.end(), documents.begin(), documents.end());
      }
      const Expected expected = PackedByHand(all, chunk_size);
      const uint64_t chunks = expected.documents.size();
      ASSERT_EQ(packing->Chunks(split), chunks);
      ASSERT_EQ(packing->Documents(split), all.size());
      for (uint64_t first = 0; first < chunks; ++first) {
        const Packing::Place place = packing->Locate(split, first);
        EXPECT_EQ(std::make_pair(place.shard, place.chunk), places[first]);
        for (uint64_t count = 0; count <= chunks - first; ++count) {
          std::vector<uint64_t> documents(count);
          ASSERT_TRUE(packing->DocumentsOf(split, first, documents).ok());
          const auto begin_document = expected.documents.begin() + first;
          ASSERT_THAT(documents, ElementsAreArray(begin_document, begin_document + count));
          std::vector<uint32_t> tokens(count * chunk_size);
          ASSERT_TRUE(packing->Tokens(split, first, tokens).ok());
          const auto begin = expected.tokens.begin() + first * chunk_size;
          ASSERT_THAT(tokens, ElementsAreArray(begin, begin + tokens.size()))
              << "K " << chunk_size << ", chunks " << first << " + " << count;
        }
      }
    }
  }
}

// Lengths fill several pages of 1,024; documents reach over many pages of tokens; some are empty or
// one token; shards without any; a part of the shards in the stream. Against the definition.
TEST_F(PackingTest, RandomWindowsOfManyDocumentsAreTheDefinitions) {
  const PhiloxStream stream(5, NoiseStream::kEvaluation, 0, 0);
  uint64_t draw = 0;
  std::vector<ShardDocuments> shards(6);
  for (const uint32_t shard : {1, 2, 4, 5}) {
    const uint64_t count = shard == 4 ? 1024 : 1500 + stream.Below(draw++, 3000);
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t kind = stream.Below(draw++, 1000);
      Document& document = shards[shard][0].emplace_back();
      document.resize(kind == 0 ? 5000 : kind < 300 ? kind % 2 : stream.Below(draw++, 20));
      for (uint32_t& token : document) token = static_cast<uint32_t>(draw++ % 997);
    }
    shards[shard][1].push_back({shard});
  }
  WriteTokens(shards);
  const std::vector<bool> chosen = {true, true, false, true, true, true};
  for (const uint32_t chunk_size : {1, 4, 6}) {
    auto some = Packing::Build(tokens_.get(), {chunk_size, kEnd, kPad}, chosen);
    ASSERT_TRUE(some.ok()) << some.status();
    std::vector<Document> all;
    uint64_t left_out = 0, before = 0;  // documents of shard 2, which count but are not there
    for (uint32_t shard = 0; shard < shards.size(); ++shard) {
      const auto& documents = shards[shard][0];
      if (chosen[shard]) {
        all.insert(all.end(), documents.begin(), documents.end());
      } else {
        left_out = documents.size();
        before = all.size();
      }
    }
    const Expected expected = PackedByHand(all, chunk_size);
    ASSERT_EQ((*some)->Chunks(Split::kTrain), expected.documents.size());
    EXPECT_EQ((*some)->Chunks(Split::kHeldout),
              PackedByHand({{0}}, chunk_size).documents.size() * 4);
    for (int window = 0; window < 2000; ++window) {
      const uint64_t first = stream.Below(draw++, expected.documents.size());
      const uint64_t count = std::min(1 + stream.Below(draw++, window % 50 == 0 ? 3000 : 64),
                                      expected.documents.size() - first);
      std::vector<uint32_t> tokens(count * chunk_size);
      std::vector<uint64_t> documents(count);
      ASSERT_TRUE((*some)->Tokens(Split::kTrain, first, tokens).ok());
      ASSERT_TRUE((*some)->DocumentsOf(Split::kTrain, first, documents).ok());
      ASSERT_TRUE(
          std::equal(tokens.begin(), tokens.end(), expected.tokens.begin() + first * chunk_size))
          << chunk_size << " " << first << " " << count;
      for (uint64_t i = 0; i < count; ++i) {
        const uint64_t document = expected.documents[first + i];
        ASSERT_EQ(documents[i], document + (document >= before ? left_out : 0));
      }
    }
  }
}

TEST_F(PackingTest, ThreadsReadAtTheSameTime) {
  WriteTokens(RandomShards());
  const auto packing = Pack(2);
  std::vector<uint32_t> expected(packing->Chunks(Split::kTrain) * 2);
  ASSERT_TRUE(packing->Tokens(Split::kTrain, 0, expected).ok());
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (uint64_t i = thread; i < 2000; ++i) {
        const uint64_t first = i % packing->Chunks(Split::kTrain);
        std::vector<uint32_t> chunk(2);
        const bool right = packing->Tokens(Split::kTrain, first, chunk).ok() &&
                           std::equal(chunk.begin(), chunk.end(), expected.begin() + 2 * first);
        if (!right) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(PackingTest, AShardAloneIsItsPartOfTheStream) {
  const auto shards = RandomShards();
  WriteTokens(shards);
  const auto packing = Pack(3);
  for (uint32_t shard = 0; shard < shards.size(); ++shard) {
    const Expected expected = PackedByHand(shards[shard][0], 3);
    std::vector<uint32_t> tokens(expected.tokens.size());
    ASSERT_TRUE(packing->TokensOfShard(shard, Split::kTrain, 0, tokens).ok());
    EXPECT_EQ(tokens, expected.tokens);
  }
}

TEST_F(PackingTest, PastTheEndIsInvalid) {
  WriteTokens({{{{{1, 2, 3}}, {}}}});
  const auto packing = Pack(2);
  std::vector<uint32_t> tokens(2 * 2);
  EXPECT_TRUE(packing->Tokens(Split::kTrain, 0, tokens).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(packing->Tokens(Split::kTrain, 1, tokens)));
  EXPECT_TRUE(absl::IsInvalidArgument(packing->Tokens(Split::kTrain, ~uint64_t{0}, tokens)));
  EXPECT_TRUE(absl::IsInvalidArgument(packing->TokensOfShard(0, Split::kTrain, 1, tokens)));
  EXPECT_TRUE(absl::IsInvalidArgument(packing->TokensOfShard(0, Split::kHeldout, 0, tokens)));
}

}  // namespace
}  // namespace halcyon::pipeline
