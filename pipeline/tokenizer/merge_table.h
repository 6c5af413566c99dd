// Which two tokens merge into which. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_MERGE_TABLE_H_
#define HALCYON_PIPELINE_TOKENIZER_MERGE_TABLE_H_

#include <cstdint>

#include "absl/container/flat_hash_map.h"

namespace halcyon::pipeline {

class MergeTable {
 public:
  static constexpr uint32_t kNoRank = 0xFFFFFFFF;
  struct Ranked {
    uint32_t rank = kNoRank;  // the lowest is merged first
    uint32_t result = 0;
  };

  void Reserve(size_t merges) { merges_.reserve(merges); }
  // False when the pair merges already.
  bool Add(uint32_t left, uint32_t right, Ranked merge) {
    return merges_.try_emplace(Key(left, right), merge).second;
  }
  // rank == kNoRank: the pair does not merge.
  Ranked Find(uint32_t left, uint32_t right) const {
    const auto found = merges_.find(Key(left, right));
    return found == merges_.end() ? Ranked{} : found->second;
  }

 private:
  static uint64_t Key(uint32_t left, uint32_t right) { return uint64_t{left} << 32 | right; }

  absl::flat_hash_map<uint64_t, Ranked> merges_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_MERGE_TABLE_H_
