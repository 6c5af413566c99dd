// Merging one piece of text into tokens. Internal to pipeline/: others use tokenizer.h.
#ifndef HALCYON_PIPELINE_TOKENIZER_BPE_ENCODER_H_
#define HALCYON_PIPELINE_TOKENIZER_BPE_ENCODER_H_

#include <cstdint>
#include <queue>
#include <string_view>
#include <vector>

#include "pipeline/tokenizer/bpe_tokenizer.h"

namespace halcyon::pipeline {

// Starting from single bytes, the adjacent pair of lowest rank is merged, the leftmost on a tie,
// until none merges. Keeps its working memory between pieces. Not thread-safe; does not own.
class PieceMerger {
 public:
  explicit PieceMerger(const BpeTokenizer* tokenizer) : tokenizer_(tokenizer) {}

  // Appends the ids of a piece. Up to kScanBytesMax bytes by looking at all pairs for each merge,
  // longer ones in O(n log n) with a heap.
  void Merge(std::string_view piece, std::vector<uint32_t>* ids);

  // Pairs looked at since the beginning.
  uint64_t steps() const { return steps_; }

  static constexpr size_t kScanBytesMax = 64;

 private:
  struct Symbol {
    uint32_t id;
    uint32_t previous, next;  // positions of the neighbours, kNowhere at the ends
    bool alive;
  };
  struct Candidate {  // the pair that begins at `position`
    uint32_t rank, position;
    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  void MergeByScan(std::string_view piece, std::vector<uint32_t>* ids);
  void MergeByHeap(std::string_view piece, std::vector<uint32_t>* ids);
  void Consider(uint32_t position);
  void Join(uint32_t position, uint32_t result);

  const BpeTokenizer* tokenizer_;
  uint64_t steps_ = 0;
  std::vector<uint32_t> scan_ids_;
  std::vector<BpeTokenizer::Ranked> scan_merges_;  // of each id with the next
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> heap_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_BPE_ENCODER_H_
