#include "storage/token_cache.h"

#include <atomic>
#include <thread>

#include "base/philox.h"
#include "tests/storage/cache_fixture.h"

namespace halcyon::storage {
namespace {

using Code = absl::StatusCode;
using Documents = std::vector<std::vector<uint32_t>>;

class TokenCacheTest : public CacheTest {
 protected:
  // Documents of the given lengths with ids below `vocab_size`.
  static Documents Make(uint64_t seed, uint32_t vocab_size, const std::vector<size_t>& lengths) {
    Documents documents;
    for (const size_t length : lengths) {
      auto& document = documents.emplace_back(length);
      const PhiloxStream stream(seed, NoiseStream::kEvaluation, 0, documents.size());
      for (size_t i = 0; i < length; ++i) {
        document[i] = static_cast<uint32_t>(stream.Below(i, vocab_size));
      }
    }
    return documents;
  }

  static std::vector<uint32_t> Concatenate(const Documents& documents) {
    std::vector<uint32_t> all;
    for (const auto& document : documents) all.insert(all.end(), document.begin(), document.end());
    return all;
  }

  void Add(uint32_t shard, uint32_t vocab_size, const Documents& train, const Documents& heldout) {
    TokenShardWriter writer(SstPath(shard), kDataset, shard, 1, vocab_size);
    // Held-out ones between the others: the splits are streams of their own.
    for (size_t i = 0; i < std::max(train.size(), heldout.size()); ++i) {
      if (i < heldout.size()) writer.AddDocument(Split::kHeldout, heldout[i]);
      if (i < train.size()) writer.AddDocument(Split::kTrain, train[i]);
    }
    const auto file = writer.Finish({{"invalid_utf8", 2}});
    ASSERT_TRUE(file.ok()) << file.status();
    bytes_ = file->bytes;
    const auto record = OpenBuilder()->Ingest({{*file, shard, 1}}).at(0);
    ASSERT_TRUE(record.ok()) << record.status();
    counts_ = record->counts;
  }

  TokenReader Publish(uint32_t shards) {
    EXPECT_TRUE(OpenBuilder()->Publish(Generation(), shards).ok());
    return TokenReader(OpenReader());
  }

  static std::vector<uint32_t> ReadAll(TokenReader& reader, uint32_t shard, Split split) {
    std::vector<uint32_t> out(reader.Tokens(shard, split));
    const absl::Status read = reader.Read(shard, split, 0, out);
    EXPECT_TRUE(read.ok()) << read;
    return out;
  }

  static std::vector<uint32_t> LengthsOf(TokenReader& reader, uint32_t shard, Split split) {
    std::vector<uint32_t> lengths(reader.Documents(shard, split));
    EXPECT_TRUE(reader.ReadLengths(shard, split, 0, lengths).ok());
    return lengths;
  }

  uint64_t bytes_ = 0;
  std::map<std::string, uint64_t> counts_;
};

TEST_F(TokenCacheTest, ReadsBackDocumentsOfSeveralPagesAndShards) {
  const Documents train = Make(1, 65536, {5, 0, kTokensPerPage, 70000, 1});
  const Documents heldout = Make(2, 65536, {3});
  const Documents wide = Make(3, 200000, {40000, 2});
  Add(0, 65536, train, heldout);
  EXPECT_EQ(counts_, (std::map<std::string, uint64_t>{{"train.documents", 5},
                                                      {"train.tokens", 70006 + kTokensPerPage},
                                                      {"heldout.documents", 1},
                                                      {"heldout.tokens", 3},
                                                      {"invalid_utf8", 2}}));
  Add(1, 65536, {}, {});
  Add(2, 200000, wide, {});
  TokenReader reader = Publish(3);
  ASSERT_EQ(reader.shards(), 3u);
  EXPECT_EQ(ReadAll(reader, 0, Split::kTrain), Concatenate(train));
  EXPECT_EQ(ReadAll(reader, 0, Split::kHeldout), Concatenate(heldout));
  EXPECT_EQ(ReadAll(reader, 2, Split::kTrain), Concatenate(wide));
  EXPECT_EQ(LengthsOf(reader, 0, Split::kTrain),
            (std::vector<uint32_t>{5, 0, kTokensPerPage, 70000, 1}));
  for (const Split split : {Split::kTrain, Split::kHeldout}) {
    EXPECT_EQ(reader.Tokens(1, split), 0u);
    EXPECT_EQ(reader.Documents(1, split), 0u);
    EXPECT_EQ(LengthsOf(reader, 1, split).size(), 0u);
    EXPECT_TRUE(reader.Read(1, split, 0, {}).ok());
  }
}

TEST_F(TokenCacheTest, ManyDocumentsFillSeveralPagesOfLengths) {
  const std::vector<size_t> lengths(kTokensPerPage + 1, 1);
  Add(0, 100, Make(1, 100, lengths), {});
  TokenReader reader = Publish(1);
  EXPECT_EQ(LengthsOf(reader, 0, Split::kTrain), std::vector<uint32_t>(lengths.size(), 1));
}

TEST_F(TokenCacheTest, SmallVocabulariesTakeTwoBytesAToken) {
  Add(0, 65536, Make(1, 65536, {kTokensPerPage}), {});
  const uint64_t narrow = bytes_;
  Add(1, 65537, Make(1, 65536, {kTokensPerPage}), {});
  // Some bytes more in the numbers of sizes and places.
  EXPECT_NEAR(static_cast<double>(bytes_ - narrow), 2 * kTokensPerPage, 8);
  TokenReader reader = Publish(2);
  EXPECT_EQ(ReadAll(reader, 0, Split::kTrain), ReadAll(reader, 1, Split::kTrain));
}

TEST_F(TokenCacheTest, RefusesReadsPastTheEndAndForeignTokens) {
  Add(0, 10, Make(1, 10, {100}), {});
  TokenReader reader = Publish(1);
  std::vector<uint32_t> out(2);
  EXPECT_TRUE(reader.Read(0, Split::kTrain, 98, out).ok());
  for (const uint64_t first : {uint64_t{99}, uint64_t{101}, ~uint64_t{0}}) {
    EXPECT_EQ(CodeOf(reader.Read(0, Split::kTrain, first, out)), Code::kInvalidArgument) << first;
  }
  EXPECT_EQ(CodeOf(reader.Read(1, Split::kTrain, 0, out)), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf(reader.ReadLengths(1, Split::kTrain, 0, out)), Code::kInvalidArgument);

  TokenShardWriter writer(SstPath(1), kDataset, 1, 1, 10);
  writer.AddDocument(Split::kTrain, std::vector<uint32_t>{9, 10});
  EXPECT_EQ(CodeOf(writer.Finish({})), Code::kInvalidArgument);
  EXPECT_FALSE(Env::Posix()->Exists(SstPath(1)));
}

TEST_F(TokenCacheTest, APageThatTheRecordCountsMustBeThere) {
  const PageKey key{0, Split::kTrain, PageKind::kTokens, 0};
  auto writer = ShardWriter::Create(SstPath(0), kDataset, 0, 1);
  ASSERT_TRUE((*writer)->Add(key, Value(key, 5)).ok());
  const auto file = (*writer)->Finish({{"train.tokens", 6}, {"train.documents", 1}});
  ASSERT_TRUE(OpenBuilder()->Ingest({{*file, 0, 1}}).at(0).ok());
  TokenReader reader = Publish(1);
  std::vector<uint32_t> out(1);
  EXPECT_EQ(CodeOf(reader.Read(0, Split::kTrain, 0, out)), Code::kDataLoss);
  EXPECT_EQ(CodeOf(reader.ReadLengths(0, Split::kTrain, 0, out)), Code::kDataLoss);
}

TEST_F(TokenCacheTest, ThreadsReadAtRandom) {
  const Documents train = Make(1, 65536, {80 * kTokensPerPage});
  Add(0, 65536, train, {});
  TokenReader reader = Publish(1);
  std::atomic<int> wrong = 0;
  const auto read = [&](uint64_t thread) {
    const PhiloxStream stream(2, NoiseStream::kEvaluation, 0, thread);
    std::vector<uint32_t> out(300);
    for (uint64_t i = 0; i < 500; ++i) {
      const uint64_t first = stream.Below(i, train[0].size() - out.size());
      const bool right = reader.Read(0, Split::kTrain, first, out).ok() &&
                         std::equal(out.begin(), out.end(), train[0].begin() + first);
      if (!right) ++wrong;
    }
  };
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < 4; ++thread) threads.emplace_back(read, thread);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace halcyon::storage
