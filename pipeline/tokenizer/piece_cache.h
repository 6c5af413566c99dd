// The ids of pieces that were encoded before. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_PIECE_CACHE_H_
#define HALCYON_PIPELINE_TOKENIZER_PIECE_CACHE_H_

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "pipeline/tokenizer/spans.h"
#include "pipeline/tokenizer/zeroed_array.h"

namespace halcyon::pipeline {

static_assert(std::endian::native == std::endian::little);

// Two tables of fixed size, 48 MiB together. Nearly all pieces have up to 15 bytes and give up to 4
// ids: they are kept in two places for each hash, of which the one used last stays. Longer ones
// have one place a hash, the newest stays. What is longer still is not kept. Not thread-safe.
class PieceCache {
 public:
  static constexpr size_t kSpansMax = 32;  // at a time: while the first are looked up, lines of
                                           // the processor's cache arrive for the others
  static constexpr size_t kBytesMax = 62;  // of a piece that is kept
  static constexpr size_t kIdsMax = 16;

  // Of a short piece its bytes, then zeros, then its size; of a longer one only the hash counts.
  struct Key {
    uint64_t low, high, hash;
  };
  struct Missing {
    std::string_view piece;
    Key key;
    size_t at;  // how many ids stand before those of this piece
  };

  // Appends the ids of the spans of `text`, of each that is not empty and known; the others are
  // appended to `missing`. REQUIRES: at most kSpansMax spans.
  void Find(std::string_view text, std::span<const Span> spans, std::vector<uint32_t>* ids,
            std::vector<Missing>* missing) {
    std::array<Key, kSpansMax> keys;
    for (size_t i = 0; i < spans.size(); ++i) {
      keys[i] = KeyOf(text, spans[i]);
      Prefetch(keys[i]);
    }
    std::array<uint32_t, kSpansMax * kIdsMax> known;
    size_t count = 0;  // of known
    for (size_t i = 0; i < spans.size(); ++i) {
      const std::string_view piece = text.substr(spans[i].begin, spans[i].end - spans[i].begin);
      if (piece.empty() || Find(piece, keys[i], known.data(), &count)) continue;
      missing->push_back({piece, keys[i], ids->size() + count});
    }
    ids->insert(ids->end(), known.data(), known.data() + count);
  }

  // Those of a piece are known from now on, if they fit.
  void Put(const Missing& missing, std::span<const uint32_t> ids) {
    Put(missing.piece, missing.key, ids);
  }

  // Appends the ids of one piece, those that encode(piece, ids) appended the first time.
  template <typename EncodePiece>
  void Encode(std::string_view piece, std::vector<uint32_t>* ids, EncodePiece encode) {
    const Span whole{0, piece.size(), true};
    missing_.clear();
    Find(piece, {&whole, 1}, ids, &missing_);
    if (missing_.empty()) return;
    const size_t first = ids->size();
    encode(piece, ids);
    Put(missing_.front(), {ids->data() + first, ids->size() - first});
  }

 private:
  static constexpr uint32_t kNoId = 0xFFFFFFFF;
  static constexpr size_t kShortBytesMax = 15;
  static constexpr int kShortPairsLog2 = 19;
  static constexpr int kLongsLog2 = 17;

  struct Short {
    uint64_t low, high;           // 0: free
    std::array<uint32_t, 4> ids;  // after the last: kNoId
    bool Holds(const Key& key) const { return low == key.low && high == key.high; }
  };
  struct alignas(64) ShortPair {
    Short first, second;
  };
  struct alignas(64) Long {
    uint8_t size, count;  // 0: free
    std::array<char, kBytesMax> bytes;
    std::array<uint32_t, kIdsMax> ids;
  };
  static_assert(sizeof(ShortPair) == 64 && sizeof(Long) == 128);

  static uint64_t Mixed(uint64_t a, uint64_t b) {
    const auto product =
        static_cast<unsigned __int128>(a ^ 0xA0761D6478BD642F) * (b ^ 0xE7037ED1A0B428DB);
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
  static uint64_t Load(const char* bytes) {
    uint64_t value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
  }

  static Key KeyOf(std::string_view text, const Span& span) {
    const size_t size = span.end - span.begin;
    const char* const bytes = text.data() + span.begin;
    Key key{};
    if (size > kShortBytesMax) {
      for (size_t at = 0; at + 8 < size; at += 8) key.hash = Mixed(key.hash, Load(bytes + at));
      key.hash = Mixed(key.hash ^ size, Load(bytes + size - 8));
      return key;
    }
    if (span.begin + 16 <= text.size()) {
      const uint64_t low_mask = size < 8 ? ~(~uint64_t{0} << (8 * size)) : ~uint64_t{0};
      const uint64_t high_mask = size < 8 ? 0 : ~(~uint64_t{0} << (8 * (size - 8)));
      key.low = Load(bytes) & low_mask;
      key.high = Load(bytes + 8) & high_mask;
    } else {
      std::array<char, 16> padded{};
      std::memcpy(padded.data(), bytes, size);
      key.low = Load(padded.data());
      key.high = Load(padded.data() + 8);
    }
    key.high |= uint64_t{size} << 56;
    key.hash = Mixed(key.low, key.high);
    return key;
  }

  static bool IsShort(const Key& key) { return key.high != 0; }
  ShortPair& ShortsOf(const Key& key) { return shorts_[key.hash >> (64 - kShortPairsLog2)]; }
  Long& LongOf(const Key& key) { return longs_[key.hash >> (64 - kLongsLog2)]; }
  void Prefetch(const Key& key) {
    if (IsShort(key)) {
      __builtin_prefetch(&ShortsOf(key));
    } else {
      __builtin_prefetch(&LongOf(key));
    }
  }

  // Copies the ids to `known` from `*count` on, which grows by their number.
  bool Find(std::string_view piece, const Key& key, uint32_t* known, size_t* count) {
    if (IsShort(key)) {
      ShortPair& pair = ShortsOf(key);
      if (pair.second.Holds(key)) std::swap(pair.first, pair.second);
      if (pair.first.Holds(key)) {
        const auto& ids = pair.first.ids;
        std::memcpy(known + *count, ids.data(), sizeof ids);
        *count += size_t{1} + (ids[1] != kNoId) + (ids[2] != kNoId) + (ids[3] != kNoId);
        return true;
      }
    } else if (piece.size() > kBytesMax) {
      return false;
    }
    const Long& found = LongOf(key);
    if (found.size != piece.size() || std::memcmp(found.bytes.data(), piece.data(), found.size)) {
      return false;
    }
    std::memcpy(known + *count, found.ids.data(), sizeof found.ids);
    *count += found.count;
    return true;
  }

  void Put(std::string_view piece, const Key& key, std::span<const uint32_t> ids) {
    if (ids.empty() || ids.size() > kIdsMax || piece.size() > kBytesMax) return;
    if (IsShort(key) && ids.size() <= 4) {
      Short entry{key.low, key.high, {kNoId, kNoId, kNoId, kNoId}};
      std::memcpy(entry.ids.data(), ids.data(), ids.size_bytes());
      ShortsOf(key).second = entry;
      return;
    }
    Long& entry = LongOf(key);
    entry.size = static_cast<uint8_t>(piece.size());
    entry.count = static_cast<uint8_t>(ids.size());
    std::memcpy(entry.bytes.data(), piece.data(), piece.size());
    std::memcpy(entry.ids.data(), ids.data(), ids.size_bytes());
  }

  ZeroedArray<ShortPair> shorts_{size_t{1} << kShortPairsLog2};
  ZeroedArray<Long> longs_{size_t{1} << kLongsLog2};
  std::vector<Missing> missing_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_PIECE_CACHE_H_
