#include "pipeline/tokenizer/piece_cache.h"

#include <gtest/gtest.h>

#include <map>

#include "base/philox.h"
#include "pipeline/tokenizer/merge_table.h"

namespace halcyon::pipeline {
namespace {

// Ids that tell the piece, and a number of them that depends on its first byte.
std::vector<uint32_t> IdsOf(std::string_view piece) {
  const auto count = static_cast<size_t>(static_cast<uint8_t>(piece[0]) % 20);
  std::vector<uint32_t> ids;
  for (size_t i = 0; i < count; ++i) {
    uint32_t id = static_cast<uint32_t>(i);
    for (const char byte : piece) id = id * 31 + static_cast<uint8_t>(byte);
    ids.push_back(id == 0xFFFFFFFF ? 0 : id);
  }
  return ids;
}

// A text of pieces of all sizes around the limits of the tables, many of them often.
struct Pieces {
  std::string text;
  std::vector<Span> spans;
  std::vector<uint32_t> ids;

  explicit Pieces(uint64_t seed, uint64_t distinct) {
    const PhiloxStream stream(seed, NoiseStream::kEvaluation, 8, 0);
    for (uint64_t i = 0; i < 40000; ++i) {
      const PhiloxStream piece(stream.Below(i, distinct), NoiseStream::kEvaluation, 9, 0);
      const uint64_t size = piece.Below(0, 70);
      const size_t begin = text.size();
      for (uint64_t k = 1; k <= size; ++k) text += static_cast<char>(piece.Below(k, 256));
      spans.push_back({begin, text.size(), true});
      if (size == 0) continue;
      for (const uint32_t id : IdsOf(text.substr(begin))) ids.push_back(id);
    }
  }
};

TEST(PieceCache, GivesTheIdsOfTheFirstTime) {
  PieceCache cache;
  size_t encoded = 0;
  for (const uint64_t distinct : {100, 2000, 1000000}) {
    const Pieces pieces(distinct, distinct);
    std::vector<uint32_t> ids;
    encoded = 0;
    const std::span<const Span> spans = pieces.spans;
    std::vector<PieceCache::Missing> missing;
    for (size_t at = 0; at < spans.size(); at += PieceCache::kSpansMax) {
      std::vector<uint32_t> found;
      cache.Find(pieces.text, spans.subspan(at, std::min(PieceCache::kSpansMax, spans.size() - at)),
                 &found, &missing);
      size_t taken = 0;
      for (const PieceCache::Missing& one : missing) {
        ids.insert(ids.end(), found.begin() + taken, found.begin() + one.at);
        taken = one.at;
        const auto own = IdsOf(one.piece);
        ids.insert(ids.end(), own.begin(), own.end());
        cache.Put(one, own);
      }
      ids.insert(ids.end(), found.begin() + taken, found.end());
      encoded += missing.size();
      missing.clear();
    }
    EXPECT_EQ(ids, pieces.ids);
    // Most of few pieces are found again: those that are kept.
    if (distinct == 2000) {
      EXPECT_LT(encoded, pieces.spans.size() / 2);
    }
  }
}

TEST(MergeTable, FindsWhatWasAddedAndNothingElse) {
  MergeTable table;
  EXPECT_EQ(table.Find(0, 0).rank, MergeTable::kNoRank);
  const PhiloxStream stream(1, NoiseStream::kEvaluation, 10, 0);
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> known;
  for (uint32_t i = 0; i < 20000; ++i) {
    const std::pair pair{static_cast<uint32_t>(stream.Below(2 * i, 500)),
                         static_cast<uint32_t>(stream.Below(2 * i + 1, 500))};
    EXPECT_EQ(table.Add(pair.first, pair.second, {i, i + 7}), known.emplace(pair, i).second);
  }
  for (uint32_t left = 0; left < 500; ++left) {
    for (uint32_t right = 0; right < 500; ++right) {
      const auto found = known.find({left, right});
      const auto merge = table.Find(left, right);
      ASSERT_EQ(merge.rank, found == known.end() ? MergeTable::kNoRank : found->second);
      if (found != known.end()) {
        ASSERT_EQ(merge.result, found->second + 7);
      }
    }
  }
}

}  // namespace
}  // namespace halcyon::pipeline
