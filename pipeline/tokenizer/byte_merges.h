// The merges of a byte-level vocabulary, for merging many pieces. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_BYTE_MERGES_H_
#define HALCYON_PIPELINE_TOKENIZER_BYTE_MERGES_H_

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "pipeline/tokenizer/rank_minima.h"
#include "pipeline/tokenizer/zeroed_array.h"

namespace halcyon::pipeline {

struct RankedMerge {
  uint32_t left, right, result;  // ids of tokens
  uint32_t rank;                 // the lowest is done first
};

// Of all merges to one token only the last one of its own bytes can ever be done: where a token
// appears, what its bytes were merged from before is what they are merged from alone. The others
// are left out, so that a token's rank says what it was merged from, and the tables are small.
// Tokens have numbers of their own here, "symbols": a byte is its own, the others follow by rank,
// so that the symbol that a pair merges to is its rank as well.
// Immutable after Create; thread-safe.
class ByteMerges {
 public:
  static constexpr uint32_t kSymbolsMax = (1 << 21) - 1;
  static constexpr uint32_t kEnd = kSymbolsMax;  // beside a piece: merges with nothing

  // `tokens` are the bytes of each id. kInvalidArgument: a pair merges twice; too many tokens.
  // REQUIRES: merges of ids, whose results are their bytes.
  static absl::StatusOr<ByteMerges> Create(std::span<const std::string> tokens,
                                           const std::array<uint32_t, 256>& id_of_byte,
                                           std::vector<RankedMerge> merges);

  uint32_t IdOf(uint32_t symbol) const { return id_of_symbol_[symbol]; }

  // The rank of two bytes, which is the symbol that they merge to, or kNoRank.
  uint32_t RankOfBytes(uint8_t left, uint8_t right) const { return of_bytes_[left << 8 | right]; }

  // Any other pair is looked up in three steps: the processor loads what the next one needs while
  // it works on other pairs. REQUIRES: one of the two is no byte.
  struct Question {
    uint64_t pair;
    uint64_t place;  // its hash, then where the search begins; 0: it does not merge
  };
  [[gnu::always_inline]] Question Ask(uint32_t left, uint32_t right) const {
    const uint64_t pair = Pair(left, right), hash = Hash(pair);
    __builtin_prefetch(&seen_[hash >> seen_shift_ >> 6]);
    return {pair, hash};
  }
  [[gnu::always_inline]] void Locate(Question* question) const {
    const uint64_t bit = question->place >> seen_shift_;
    const uint64_t is_seen = seen_[bit >> 6] >> (bit & 63) & 1;
    question->place = ((bit >> kSeenBits) + 1) & -is_seen;
    __builtin_prefetch(&slots_[question->place]);
  }
  [[gnu::always_inline]] uint32_t RankOf(const Question& question) const {
    const uint64_t slot = slots_[question.place];
    const bool is_there = slot >> kResultBits == question.pair;
    if (!is_there && slot != 0) [[unlikely]]
      return Search(question);
    return is_there ? Result(slot) : PlacedRank::kNoRank;
  }

  struct Ranked {
    uint32_t rank, result;
  };
  Ranked Find(uint32_t left, uint32_t right) const {
    if ((left | right) < 256) {
      const uint32_t rank = of_bytes_[left << 8 | right];
      return {rank, rank};
    }
    Question question = Ask(left, right);
    Locate(&question);
    const uint32_t rank = RankOf(question);
    return {rank, rank};
  }

 private:
  static constexpr int kResultBits = 22;
  static constexpr int kSeenBits = 3;  // 2^3 bits a slot
  static constexpr size_t kSlotsMin = 64;

  ByteMerges() = default;
  void Put(uint32_t left, uint32_t right, uint32_t result);
  uint32_t Search(const Question& question) const;

  static uint64_t Pair(uint32_t left, uint32_t right) { return uint64_t{left} << 21 | right; }
  static uint32_t Result(uint64_t slot) {
    return static_cast<uint32_t>(slot & ((1 << kResultBits) - 1));
  }
  static uint64_t Hash(uint64_t pair) {
    const uint64_t mixed = pair * 0x9E3779B97F4A7C15;
    return (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93;
  }

  std::vector<uint32_t> id_of_symbol_;
  ZeroedArray<uint32_t> of_bytes_{size_t{1} << 16};
  // Open addressing: the pair and the symbol that it merges to; 0: free, as the first always is.
  ZeroedArray<uint64_t> slots_;
  ZeroedArray<uint64_t> seen_;  // bits: a pair with such a hash may be there
  int shift_ = 0, seen_shift_ = 0;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_BYTE_MERGES_H_
