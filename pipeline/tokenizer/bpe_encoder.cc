#include "pipeline/tokenizer/bpe_encoder.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"

namespace halcyon::pipeline {
namespace {

constexpr uint32_t kNowhere = 0xFFFFFFFF;

// Long pieces are rare and each differs, so caching them only costs memory. A full cache is
// emptied: frequent pieces are soon cached again.
constexpr size_t kCachedBytesMax = 48;
constexpr size_t kCachedPiecesMax = 1 << 18;

class CachingEncoder : public Encoder {
 public:
  explicit CachingEncoder(std::shared_ptr<const BpeTokenizer> tokenizer)
      : tokenizer_(std::move(tokenizer)),
        splitter_(tokenizer_->pattern()),
        merger_(tokenizer_.get()) {}

  void Encode(std::string_view text, std::vector<uint32_t>* ids) override {
    splitter_.Start(text);
    std::string_view piece;
    while (splitter_.Next(&piece)) {
      if (piece.size() > kCachedBytesMax) {
        EncodePiece(piece, ids);
      } else {
        EncodeCached(piece, ids);
      }
    }
  }

 private:
  struct Slice {
    uint32_t first, count;  // in cached_ids_
  };

  void EncodePiece(std::string_view piece, std::vector<uint32_t>* ids) {
    if (const uint32_t* whole = tokenizer_->FindWhole(piece)) {
      ids->push_back(*whole);
    } else {
      merger_.Merge(piece, ids);
    }
  }

  void EncodeCached(std::string_view piece, std::vector<uint32_t>* ids) {
    const auto found = cache_.find(ToAbsl(piece));
    if (found != cache_.end()) {
      const auto begin = cached_ids_.begin() + found->second.first;
      ids->insert(ids->end(), begin, begin + found->second.count);
      return;
    }
    if (cache_.size() == kCachedPiecesMax) {
      cache_.clear();
      cached_ids_.clear();
    }
    const size_t first = ids->size();
    EncodePiece(piece, ids);
    cache_.try_emplace(std::string(piece), Slice{static_cast<uint32_t>(cached_ids_.size()),
                                                 static_cast<uint32_t>(ids->size() - first)});
    cached_ids_.insert(cached_ids_.end(), ids->begin() + first, ids->end());
  }

  std::shared_ptr<const BpeTokenizer> tokenizer_;
  PieceSplitter splitter_;
  PieceMerger merger_;
  absl::flat_hash_map<std::string, Slice> cache_;
  std::vector<uint32_t> cached_ids_;
};

}  // namespace

std::unique_ptr<Encoder> Encoder::Create(std::shared_ptr<const Tokenizer> tokenizer) {
  auto bpe = std::dynamic_pointer_cast<const BpeTokenizer>(std::move(tokenizer));
  HALCYON_CHECK(bpe != nullptr);
  return std::make_unique<CachingEncoder>(std::move(bpe));
}

void PieceMerger::Merge(std::string_view piece, std::vector<uint32_t>* ids) {
  if (piece.size() <= kScanBytesMax) {
    MergeByScan(piece, ids);
  } else {
    MergeByHeap(piece, ids);
  }
}

void PieceMerger::MergeByScan(std::string_view piece, std::vector<uint32_t>* ids) {
  scan_ids_.clear();
  for (const char byte : piece) {
    scan_ids_.push_back(tokenizer_->IdOfByte(static_cast<uint8_t>(byte)));
  }
  const auto merge_at = [&](size_t i) {
    ++steps_;
    return tokenizer_->FindMerge(scan_ids_[i], scan_ids_[i + 1]);
  };
  scan_merges_.clear();
  for (size_t i = 0; i + 1 < scan_ids_.size(); ++i) scan_merges_.push_back(merge_at(i));
  while (!scan_merges_.empty()) {
    const auto best =
        std::min_element(scan_merges_.begin(), scan_merges_.end(),
                         [](const auto& a, const auto& b) { return a.rank < b.rank; });
    if (best->rank == BpeTokenizer::kNoRank) break;
    const size_t i = best - scan_merges_.begin();
    scan_ids_[i] = best->result;
    scan_ids_.erase(scan_ids_.begin() + i + 1);
    scan_merges_.erase(best);
    if (i > 0) scan_merges_[i - 1] = merge_at(i - 1);
    if (i < scan_merges_.size()) scan_merges_[i] = merge_at(i);
  }
  ids->insert(ids->end(), scan_ids_.begin(), scan_ids_.end());
}

void PieceMerger::Consider(uint32_t position) {
  const uint32_t next = symbols_[position].next;
  if (next == kNowhere) return;
  ++steps_;
  const uint32_t rank = tokenizer_->FindMerge(symbols_[position].id, symbols_[next].id).rank;
  if (rank != BpeTokenizer::kNoRank) heap_.push({rank, position});
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

void PieceMerger::MergeByHeap(std::string_view piece, std::vector<uint32_t>* ids) {
  HALCYON_CHECK(piece.size() < kNowhere);
  const auto size = static_cast<uint32_t>(piece.size());
  symbols_.resize(size);
  for (uint32_t i = 0; i < size; ++i) {
    symbols_[i] = {.id = tokenizer_->IdOfByte(static_cast<uint8_t>(piece[i])),
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
    const auto merge = tokenizer_->FindMerge(left.id, symbols_[left.next].id);
    if (merge.rank == top.rank) Join(top.position, merge.result);
  }
  for (uint32_t i = 0; i != kNowhere; i = symbols_[i].next) ids->push_back(symbols_[i].id);
}

}  // namespace halcyon::pipeline
