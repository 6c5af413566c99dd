// Merging the bytes of many pieces of text. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_BATCH_MERGER_H_
#define HALCYON_PIPELINE_TOKENIZER_BATCH_MERGER_H_

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "pipeline/tokenizer/byte_merges.h"
#include "pipeline/tokenizer/long_merger.h"

namespace halcyon::pipeline {

// The same as LongMerger does, for up to kLanes short pieces by turns: one merge of a piece, then
// one of the next, so that the look-ups of a merge, whose tables are larger than the nearer caches
// of the processor, are answered while other pieces are worked on. Keeps its working memory. Not
// thread-safe; does not own.
class BatchMerger {
 public:
  explicit BatchMerger(const ByteMerges* merges) : merges_(*merges), long_(merges) {}

  // Calls emit(index, symbols) once for each of the pieces, in any order. REQUIRES: none is empty.
  template <typename Emit>
  void Merge(std::span<const std::string_view> pieces, Emit emit) {
    for (auto& group : groups_) group.clear();
    for (uint32_t i = 0; i < pieces.size(); ++i) {
      const size_t size = pieces[i].size();
      if (size <= Lane<1>::kBytesMax) {
        groups_[0].push_back(i);
      } else if (size <= Lane<2>::kBytesMax) {
        groups_[1].push_back(i);
      } else if (size <= Lane<4>::kBytesMax) {
        groups_[2].push_back(i);
      } else {
        MergeLong(pieces[i]);
        emit(i, std::span<const uint32_t>(merged_));
      }
    }
    MergeByTurns(pieces, groups_[0], ones_, emit);
    MergeByTurns(pieces, groups_[1], twos_, emit);
    MergeByTurns(pieces, groups_[2], fours_, emit);
  }

 private:
  static constexpr size_t kLanes = 16;

  // A piece that is being merged. Positions count from 1: before the first and behind the last
  // symbol is one that never merges, so that no step asks whether it is at an end.
  template <size_t kGroups>  // of sixteen places
  struct Lane {
    static constexpr size_t kPlaces = kGroups * PlacedRank::kPlaces;
    static constexpr size_t kBytesMax = kPlaces - 1;

    alignas(16) std::array<int32_t, kPlaces> ranks;  // of the pair that begins there
    std::array<uint32_t, kPlaces + 1> symbols;
    std::array<uint8_t, kPlaces + 1> next, previous;
    std::array<ByteMerges::Question, 2> questions;  // that the last step asked, and of which place
    std::array<uint8_t, 2> asked;
    uint8_t size;
    uint32_t index;  // of the piece
  };

  template <size_t kGroups, typename Emit>
  void MergeByTurns(std::span<const std::string_view> pieces, std::span<const uint32_t> order,
                    std::array<Lane<kGroups>, kLanes>& lanes, Emit emit) {
    std::array<Lane<kGroups>*, kLanes> active;
    size_t count = 0, started = 0;
    for (; started < order.size() && count < kLanes; ++started) {
      active[count] = &lanes[count];
      Start(pieces[order[started]], order[started], active[count++]);
    }
    while (count > 0) {
      for (size_t i = 0; i < count; ++i) {
        for (auto& question : active[i]->questions) merges_.Locate(&question);
      }
      // Apart from the steps: a step reads four ranks at once, which takes longer just after one of
      // them was written.
      for (size_t i = 0; i < count; ++i) TakeAnswers(active[i]);
      for (size_t i = 0; i < count;) {
        Lane<kGroups>* const lane = active[i];
        if (Step(lane)) {
          ++i;
          continue;
        }
        CollectSymbols(*lane);
        emit(lane->index, std::span<const uint32_t>(merged_));
        if (started < order.size()) {
          Start(pieces[order[started]], order[started], lane);
          ++started;
          ++i;
        } else {
          active[i] = active[--count];
        }
      }
    }
  }

  template <size_t kGroups>
  void Start(std::string_view piece, uint32_t index, Lane<kGroups>* lane);
  template <size_t kGroups>
  void TakeAnswers(Lane<kGroups>* lane);
  template <size_t kGroups>
  bool Step(Lane<kGroups>* lane);  // false: nothing merges any more
  template <size_t kGroups>
  void CollectSymbols(const Lane<kGroups>& lane);
  void MergeLong(std::string_view piece);

  const ByteMerges& merges_;
  LongMerger<ByteMerges> long_;
  std::array<Lane<1>, kLanes> ones_;
  std::array<Lane<2>, kLanes> twos_;
  std::array<Lane<4>, kLanes> fours_;
  std::array<std::vector<uint32_t>, 3> groups_;  // of the pieces, by size
  std::vector<uint32_t> symbols_, merged_;
};

template <size_t kGroups>
void BatchMerger::Start(std::string_view piece, uint32_t index, Lane<kGroups>* lane) {
  lane->index = index;
  lane->size = static_cast<uint8_t>(piece.size());
  lane->ranks.fill(PlacedRank::Of(PlacedRank::kNoRank, 0));
  for (size_t at = 0; at <= lane->kPlaces; ++at) {
    lane->next[at] = static_cast<uint8_t>(at + 1);
    lane->previous[at] = static_cast<uint8_t>(at - 1);
  }
  lane->symbols[0] = ByteMerges::kEnd;
  for (size_t i = 0; i < piece.size(); ++i) lane->symbols[i + 1] = static_cast<uint8_t>(piece[i]);
  lane->symbols[piece.size() + 1] = ByteMerges::kEnd;
  for (size_t at = 1; at < piece.size(); ++at) {
    const uint32_t rank =
        merges_.RankOfBytes(static_cast<uint8_t>(piece[at - 1]), static_cast<uint8_t>(piece[at]));
    lane->ranks[at] = PlacedRank::Of(rank, at);
  }
  lane->questions.fill(merges_.Ask(ByteMerges::kEnd, ByteMerges::kEnd));  // of place 0
  lane->asked = {};
}

template <size_t kGroups>
[[gnu::always_inline]] inline void BatchMerger::TakeAnswers(Lane<kGroups>* lane) {
  for (size_t i = 0; i < 2; ++i) {
    const size_t at = lane->asked[i];
    lane->ranks[at] = PlacedRank::Of(merges_.RankOf(lane->questions[i]), at);
  }
}

template <size_t kGroups>
[[gnu::always_inline]] inline bool BatchMerger::Step(Lane<kGroups>* lane) {
  int32_t least = PlacedRank::Smallest(lane->ranks.data());
  size_t left = PlacedRank::Place(least);
  for (size_t first = PlacedRank::kPlaces; first < lane->kPlaces; first += PlacedRank::kPlaces) {
    const int32_t other = PlacedRank::Smallest(lane->ranks.data() + first);
    const bool is_less = PlacedRank::Rank(other) < PlacedRank::Rank(least);
    left = is_less ? first + PlacedRank::Place(other) : left;
    least = is_less ? other : least;
  }
  const uint32_t symbol = PlacedRank::Rank(least);
  if (symbol == PlacedRank::kNoRank) return false;
  const size_t right = lane->next[left], behind = lane->next[right];
  const size_t before = lane->previous[left];
  lane->symbols[left] = symbol;
  lane->ranks[right] = PlacedRank::Of(PlacedRank::kNoRank, 0);
  lane->next[left] = static_cast<uint8_t>(behind);
  lane->previous[behind] = static_cast<uint8_t>(left);
  lane->asked = {static_cast<uint8_t>(left), static_cast<uint8_t>(before)};
  lane->questions = {merges_.Ask(symbol, lane->symbols[behind]),
                     merges_.Ask(lane->symbols[before], symbol)};
  return true;
}

template <size_t kGroups>
void BatchMerger::CollectSymbols(const Lane<kGroups>& lane) {
  merged_.clear();
  for (size_t at = 1; at <= lane.size; at = lane.next[at]) {
    merged_.push_back(lane.symbols[at]);
  }
}

inline void BatchMerger::MergeLong(std::string_view piece) {
  symbols_.clear();
  for (const char byte : piece) symbols_.push_back(static_cast<uint8_t>(byte));
  merged_.clear();
  long_.Merge(symbols_, [this](uint32_t symbol) { merged_.push_back(symbol); });
}

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_BATCH_MERGER_H_
