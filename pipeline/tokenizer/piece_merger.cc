#include "pipeline/tokenizer/piece_merger.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace halcyon::pipeline {
namespace {

constexpr uint32_t kNowhere = 0xFFFFFFFF;
constexpr uint64_t kNeverMerged = ~uint64_t{0};

}  // namespace

void PieceMerger::Merge(std::vector<uint32_t>& symbols, std::vector<uint32_t>* ids) {
  if (symbols.size() <= kScanMax) {
    MergeByScan(symbols, ids);
  } else {
    MergeByHeap(symbols, ids);
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
    symbols[i] = results[i];
    order[next[i]] = kNeverMerged;
    next[i] = next[next[i]];
    previous[next[i]] = i;
    look_at(i);
    if (i > 0) look_at(previous[i]);
  }
  for (size_t i = 0; i < size; i = next[i]) ids->push_back(symbols[i]);
}

void PieceMerger::Consider(uint32_t position) {
  const uint32_t next = symbols_[position].next;
  if (next == kNowhere) return;
  ++steps_;
  const uint32_t rank = merges_->Find(symbols_[position].id, symbols_[next].id).rank;
  if (rank != MergeTable::kNoRank) heap_.push_back(uint64_t{rank} << 32 | position);
}

void PieceMerger::Join(uint32_t position, uint32_t result) {
  Symbol& left = symbols_[position];
  Symbol& right = symbols_[left.next];
  left.id = result;
  left.next = right.next;
  right.alive = false;
  if (left.next != kNowhere) symbols_[left.next].previous = position;
  const size_t before = heap_.size();
  if (left.previous != kNowhere) Consider(left.previous);
  Consider(position);
  for (size_t size = before + 1; size <= heap_.size(); ++size) {
    std::push_heap(heap_.begin(), heap_.begin() + static_cast<ptrdiff_t>(size), std::greater<>());
  }
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
  std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
  while (!heap_.empty()) {
    const uint64_t top = heap_.front();
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    heap_.pop_back();
    const auto position = static_cast<uint32_t>(top);
    const Symbol& left = symbols_[position];
    if (!left.alive || left.next == kNowhere) continue;
    ++steps_;
    // The pair may have changed since it was pushed; its present form has an entry of its own.
    const auto merge = merges_->Find(left.id, symbols_[left.next].id);
    if (merge.rank == top >> 32) Join(position, merge.result);
  }
  for (uint32_t i = 0; i != kNowhere; i = symbols_[i].next) ids->push_back(symbols_[i].id);
}

}  // namespace halcyon::pipeline
