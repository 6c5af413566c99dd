#include "pipeline/tokenizer/piece_merger.h"

#include <algorithm>
#include <array>

namespace halcyon::pipeline {
namespace {

constexpr uint64_t kNeverMerged = ~uint64_t{0};

}  // namespace

void PieceMerger::Merge(std::vector<uint32_t>& symbols, std::vector<uint32_t>* ids) {
  if (symbols.size() <= kScanMax) {
    MergeByScan(symbols, ids);
  } else {
    long_.Merge(symbols, [ids](uint32_t symbol) { ids->push_back(symbol); });
    last_pair_ = long_.last_pair();
  }
}

void PieceMerger::MergeByScan(std::vector<uint32_t>& symbols, std::vector<uint32_t>* ids) {
  const size_t size = symbols.size();
  std::array<uint64_t, kScanMax> order;  // of the pair that begins here; the smallest is merged
  std::array<uint32_t, kScanMax> results;
  std::array<uint8_t, kScanMax + 1> next, previous;
  const auto look_at = [&](size_t i) {
    order[i] = kNeverMerged;
    if (next[i] == size) return;
    ++steps_;
    const auto [rank, result] = merges_->Find(symbols[i], symbols[next[i]]);
    if (rank != MergeTable::kNoRank) order[i] = uint64_t{rank} << 32 | i;
    results[i] = result;
  };
  for (size_t i = 0; i < size; ++i) {
    next[i] = static_cast<uint8_t>(i + 1);
    previous[i + 1] = static_cast<uint8_t>(i);
    look_at(i);
  }
  for (;;) {
    uint64_t best = kNeverMerged;
    for (size_t i = 0; i < size; ++i) best = std::min(best, order[i]);
    if (best == kNeverMerged) break;
    const auto i = static_cast<uint8_t>(best);
    last_pair_ = {symbols[i], symbols[next[i]]};
    symbols[i] = results[i];
    order[next[i]] = kNeverMerged;
    next[i] = next[next[i]];
    previous[next[i]] = i;
    look_at(i);
    if (i > 0) look_at(previous[i]);
  }
  for (size_t i = 0; i < size; i = next[i]) ids->push_back(symbols[i]);
}

}  // namespace halcyon::pipeline
