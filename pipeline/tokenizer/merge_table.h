// Which two tokens merge into which. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_MERGE_TABLE_H_
#define HALCYON_PIPELINE_TOKENIZER_MERGE_TABLE_H_

#include <algorithm>
#include <bit>
#include <cstdint>

#include "pipeline/tokenizer/zeroed_array.h"

namespace halcyon::pipeline {

// Open addressing, at most two thirds full: a look-up reads one line of the processor's cache, most
// often. What says that most pairs do not merge is small enough to be nearer than the table, and so
// is what pairs of the first 256 tokens, which are the bytes of most vocabularies, merge into.
class MergeTable {
 public:
  static constexpr uint32_t kNoRank = 0xFFFFFFFF;
  struct Ranked {
    uint32_t rank = kNoRank;  // the lowest is merged first
    uint32_t result = 0;
  };

  void Reserve(size_t merges) {
    Grow(std::bit_ceil(std::max<size_t>(merges + merges / 2, kSlotsMin)));
  }
  // False when the pair merges already. REQUIRES: merge.rank < kNoRank.
  bool Add(uint32_t left, uint32_t right, Ranked merge) {
    if (size_ + size_ / 2 >= slots_.size()) Grow(std::max(kSlotsMin, 2 * slots_.size()));
    if (Find(left, right).rank != kNoRank) return false;
    if ((left | right) < kFirstTokens) {
      firsts_[left * kFirstTokens + right] = {merge.rank + 1, merge.result};
      return true;
    }
    Put({left, right, merge.rank + 1, merge.result});
    ++size_;
    return true;
  }
  // rank == kNoRank: the pair does not merge.
  [[gnu::always_inline]] Ranked Find(uint32_t left, uint32_t right) const {
    if ((left | right) < kFirstTokens) {
      const First& first = firsts_[left * kFirstTokens + right];
      return {first.rank_after - 1, first.result};
    }
    const uint64_t hash = Hash(left, right);
    if (slots_.size() == 0 ||
        !(seen_[hash >> seen_shift_ >> 6] >> (hash >> seen_shift_ & 63) & 1)) {
      return {};
    }
    for (size_t i = hash >> shift_;; i = (i + 1) & (slots_.size() - 1)) {
      const Slot& slot = slots_[i];
      if (slot.left == left && slot.right == right) return {slot.rank_after - 1, slot.result};
      if (slot.rank_after == 0) return {};
    }
  }

 private:
  static constexpr size_t kSlotsMin = 64;
  static constexpr int kSeenBits = 3;            // 2^3 bits a slot
  static constexpr uint32_t kFirstTokens = 256;  // a power of two
  struct First {
    uint32_t rank_after, result;  // as below
  };
  struct Slot {
    uint32_t left, right;
    uint32_t rank_after;  // rank + 1; 0: the slot is free
    uint32_t result;
  };

  static uint64_t Hash(uint32_t left, uint32_t right) {
    const uint64_t key = uint64_t{left} << 32 | right;
    const uint64_t mixed = (key ^ key >> 29) * 0x9E3779B97F4A7C15;
    return (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93;
  }
  void Put(const Slot& slot) {
    const uint64_t hash = Hash(slot.left, slot.right);
    seen_[hash >> seen_shift_ >> 6] |= uint64_t{1} << (hash >> seen_shift_ & 63);
    size_t i = hash >> shift_;
    while (slots_[i].rank_after != 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = slot;
  }
  void Grow(size_t slots) {
    if (slots <= slots_.size()) return;
    const ZeroedArray<Slot> old = std::exchange(slots_, ZeroedArray<Slot>(slots));
    shift_ = 64 - std::countr_zero(slots);
    seen_shift_ = shift_ - kSeenBits;
    seen_ = ZeroedArray<uint64_t>((slots << kSeenBits) / 64);
    for (size_t i = 0; i < old.size(); ++i) {
      if (old[i].rank_after != 0) Put(old[i]);
    }
  }

  ZeroedArray<First> firsts_{size_t{kFirstTokens} * kFirstTokens};
  ZeroedArray<Slot> slots_;     // a power of two of them
  ZeroedArray<uint64_t> seen_;  // bits: a pair with such a hash may be there
  int shift_ = 0, seen_shift_ = 0;
  size_t size_ = 0;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_MERGE_TABLE_H_
