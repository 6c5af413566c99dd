// Merging the symbols of one long piece of text. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_LONG_MERGER_H_
#define HALCYON_PIPELINE_TOKENIZER_LONG_MERGER_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "base/check.h"
#include "pipeline/tokenizer/rank_minima.h"

namespace halcyon::pipeline {

// The adjacent pair of lowest rank is merged, the leftmost on a tie, until none merges, in
// O(n log n). Merges::Find(left, right) gives the rank and the result of a pair, a rank of
// PlacedRank::kNoRank or more where it does not merge. Keeps its working memory between pieces. Not
// thread-safe; does not own.
template <typename Merges>
class LongMerger {
 public:
  explicit LongMerger(const Merges* merges) : merges_(merges) {}

  // Calls emit(symbol) for each of those that the symbols of a piece merge to; they are
  // overwritten. REQUIRES: not empty, fewer than 2^32 - 1.
  template <typename Emit>
  void Merge(std::vector<uint32_t>& symbols, Emit emit) {
    const auto size = static_cast<uint32_t>(symbols.size());
    HALCYON_CHECK(size == symbols.size());
    Start(symbols);
    for (;;) {
      const auto [rank, at] = minima_.Find();
      if (rank == PlacedRank::kNoRank) break;
      const auto left = static_cast<uint32_t>(at);
      const uint32_t right = next_[left];
      const uint32_t behind = next_[right];
      last_pair_ = {symbols[left], symbols[right]};
      symbols[left] = results_[left];
      next_[left] = behind;
      minima_.Set(right, PlacedRank::kNoRank);
      if (behind < size) previous_[behind] = left;
      minima_.Set(left, behind < size ? RankAt(symbols, left) : PlacedRank::kNoRank);
      if (left > 0) minima_.Set(previous_[left], RankAt(symbols, previous_[left]));
    }
    for (uint32_t i = 0; i < size; i = next_[i]) emit(symbols[i]);
  }

  // The pair that was merged last, since the beginning.
  std::pair<uint32_t, uint32_t> last_pair() const { return last_pair_; }
  // Pairs looked up since the beginning.
  uint64_t steps() const { return steps_; }

 private:
  void Start(const std::vector<uint32_t>& symbols) {
    const auto size = static_cast<uint32_t>(symbols.size());
    next_.resize(size);
    previous_.resize(size);
    results_.resize(size);
    ranks_.assign(size, PlacedRank::kNoRank);
    for (uint32_t i = 0; i < size; ++i) {
      next_[i] = i + 1;
      previous_[i] = i - 1;
    }
    for (uint32_t i = 0; i + 1 < size; ++i) ranks_[i] = RankAt(symbols, i);
    minima_.Start(ranks_);
  }

  // Of the pair that begins there.
  uint32_t RankAt(const std::vector<uint32_t>& symbols, uint32_t at) {
    ++steps_;
    const auto merge = merges_->Find(symbols[at], symbols[next_[at]]);
    results_[at] = merge.result;
    return merge.rank < PlacedRank::kNoRank ? merge.rank : PlacedRank::kNoRank;
  }

  const Merges* merges_;
  uint64_t steps_ = 0;
  std::pair<uint32_t, uint32_t> last_pair_;
  // By the position of a symbol; the neighbours are those that are left.
  std::vector<uint32_t> next_, previous_, results_, ranks_;
  RankMinima minima_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_LONG_MERGER_H_
