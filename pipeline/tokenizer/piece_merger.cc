#include "pipeline/tokenizer/piece_merger.h"

#include <algorithm>

#include "base/check.h"

namespace halcyon::pipeline {
namespace {

constexpr uint32_t kNowhere = 0xFFFFFFFF;

}  // namespace

void PieceMerger::Merge(std::vector<uint32_t>& symbols, std::vector<uint32_t>* ids) {
  if (symbols.size() <= kScanMax) {
    MergeByScan(symbols, ids);
  } else {
    MergeByHeap(symbols, ids);
  }
}

void PieceMerger::MergeByScan(std::vector<uint32_t>& symbols, std::vector<uint32_t>* ids) {
  const auto merge_at = [&](size_t i) {
    ++steps_;
    return merges_->Find(symbols[i], symbols[i + 1]);
  };
  scan_merges_.clear();
  for (size_t i = 0; i + 1 < symbols.size(); ++i) scan_merges_.push_back(merge_at(i));
  while (!scan_merges_.empty()) {
    const auto best =
        std::min_element(scan_merges_.begin(), scan_merges_.end(),
                         [](const auto& a, const auto& b) { return a.rank < b.rank; });
    if (best->rank == MergeTable::kNoRank) break;
    const size_t i = best - scan_merges_.begin();
    symbols[i] = best->result;
    symbols.erase(symbols.begin() + i + 1);
    scan_merges_.erase(best);
    if (i > 0) scan_merges_[i - 1] = merge_at(i - 1);
    if (i < scan_merges_.size()) scan_merges_[i] = merge_at(i);
  }
  ids->insert(ids->end(), symbols.begin(), symbols.end());
}

void PieceMerger::Consider(uint32_t position) {
  const uint32_t next = symbols_[position].next;
  if (next == kNowhere) return;
  ++steps_;
  const uint32_t rank = merges_->Find(symbols_[position].id, symbols_[next].id).rank;
  if (rank != MergeTable::kNoRank) heap_.push({rank, position});
}

void PieceMerger::Join(uint32_t position, uint32_t result) {
  Symbol& left = symbols_[position];
  Symbol& right = symbols_[left.next];
  left.id = result;
  left.next = right.next;
  right.alive = false;
  if (left.next != kNowhere) symbols_[left.next].previous = position;
  if (left.previous != kNowhere) Consider(left.previous);
  Consider(position);
}

void PieceMerger::MergeByHeap(const std::vector<uint32_t>& symbols, std::vector<uint32_t>* ids) {
  HALCYON_CHECK(symbols.size() < kNowhere);
  const auto size = static_cast<uint32_t>(symbols.size());
  symbols_.resize(size);
  for (uint32_t i = 0; i < size; ++i) {
    symbols_[i] = {.id = symbols[i],
                   .previous = i == 0 ? kNowhere : i - 1,
                   .next = i + 1 == size ? kNowhere : i + 1,
                   .alive = true};
  }
  for (uint32_t i = 0; i < size; ++i) Consider(i);
  while (!heap_.empty()) {
    const Candidate top = heap_.top();
    heap_.pop();
    const Symbol& left = symbols_[top.position];
    if (!left.alive || left.next == kNowhere) continue;
    ++steps_;
    // The pair may have changed since it was pushed; its present form has an entry of its own.
    const auto merge = merges_->Find(left.id, symbols_[left.next].id);
    if (merge.rank == top.rank) Join(top.position, merge.result);
  }
  for (uint32_t i = 0; i != kNowhere; i = symbols_[i].next) ids->push_back(symbols_[i].id);
}

}  // namespace halcyon::pipeline
