// Merging the symbols of one piece of text. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_PIECE_MERGER_H_
#define HALCYON_PIPELINE_TOKENIZER_PIECE_MERGER_H_

#include <cstdint>
#include <vector>

#include "pipeline/tokenizer/merge_table.h"

namespace halcyon::pipeline {

// The adjacent pair of lowest rank is merged, the leftmost on a tie, until none merges. Keeps its
// working memory between pieces. Not thread-safe; does not own.
class PieceMerger {
 public:
  explicit PieceMerger(const MergeTable* merges) : merges_(merges) {}

  // Appends the ids that the symbols of a piece merge to; the symbols are overwritten. Up to
  // kScanMax symbols by looking at all pairs for each merge, more in O(n log n) with a heap.
  void Merge(std::vector<uint32_t>& symbols, std::vector<uint32_t>* ids);

  // Pairs looked at since the beginning.
  uint64_t steps() const { return steps_; }

  static constexpr size_t kScanMax = 64;

 private:
  struct Symbol {
    uint32_t id;
    uint32_t previous, next;  // positions of the neighbours, kNowhere at the ends
    bool alive;
  };
  void MergeByScan(std::vector<uint32_t>& symbols, std::vector<uint32_t>* ids);
  void MergeByHeap(const std::vector<uint32_t>& symbols, std::vector<uint32_t>* ids);
  void Consider(uint32_t position);
  void Join(uint32_t position, uint32_t result);

  const MergeTable* merges_;
  uint64_t steps_ = 0;
  std::vector<Symbol> symbols_;
  std::vector<uint64_t> heap_;  // pairs that merge: rank, and in the lower half the position
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_PIECE_MERGER_H_
