// Merging the symbols of one piece of text. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_PIECE_MERGER_H_
#define HALCYON_PIPELINE_TOKENIZER_PIECE_MERGER_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "pipeline/tokenizer/long_merger.h"
#include "pipeline/tokenizer/merge_table.h"

namespace halcyon::pipeline {

// The adjacent pair of lowest rank is merged, the leftmost on a tie, until none merges. Keeps its
// working memory between pieces. Not thread-safe; does not own.
class PieceMerger {
 public:
  explicit PieceMerger(const MergeTable* merges) : merges_(merges), long_(merges) {}

  // Appends the ids that the symbols of a piece merge to; the symbols are overwritten. Up to
  // kScanMax symbols by looking at all pairs for each merge, more in O(n log n).
  void Merge(std::vector<uint32_t>& symbols, std::vector<uint32_t>* ids);

  // The pair that was merged last, since the beginning.
  std::pair<uint32_t, uint32_t> last_pair() const { return last_pair_; }

  // Pairs looked at since the beginning.
  uint64_t steps() const { return steps_ + long_.steps(); }

  static constexpr size_t kScanMax = 64;

 private:
  void MergeByScan(std::vector<uint32_t>& symbols, std::vector<uint32_t>* ids);

  const MergeTable* merges_;
  LongMerger<MergeTable> long_;
  uint64_t steps_ = 0;
  std::pair<uint32_t, uint32_t> last_pair_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_PIECE_MERGER_H_
