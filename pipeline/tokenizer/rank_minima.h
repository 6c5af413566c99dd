// The smallest of many ranks, while they change. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_RANK_MINIMA_H_
#define HALCYON_PIPELINE_TOKENIZER_RANK_MINIMA_H_

#include <cstdint>
#include <cstring>
#include <vector>

namespace halcyon::pipeline {

// A rank and in which of sixteen places it is, in one number: of equal ranks the first place is the
// smallest.
class PlacedRank {
 public:
  static constexpr size_t kPlaces = 16;
  static constexpr uint32_t kNoRank = (1 << 27) - 1;  // above all ranks

  static int32_t Of(uint32_t rank, size_t at) {
    return static_cast<int32_t>(rank << 4 | (at & (kPlaces - 1)));
  }
  static uint32_t Rank(int32_t placed) { return static_cast<uint32_t>(placed) >> 4; }
  static size_t Place(int32_t placed) { return static_cast<size_t>(placed) & (kPlaces - 1); }
  // REQUIRES: kPlaces of them at `placed`.
  static int32_t Smallest(const int32_t* placed) {
    Four least =
        Lesser(Lesser(Load(placed), Load(placed + 4)), Lesser(Load(placed + 8), Load(placed + 12)));
    least = Lesser(least, __builtin_shufflevector(least, least, 2, 3, 0, 1));
    least = Lesser(least, __builtin_shufflevector(least, least, 1, 0, 3, 2));
    return least[0];
  }

 private:
  using Four [[gnu::vector_size(16)]] = int32_t;  // compilers do not see by themselves that this
                                                  // is four at a time
  static Four Load(const int32_t* placed) {
    Four four;
    std::memcpy(&four, placed, sizeof four);
    return four;
  }
  static Four Lesser(Four a, Four b) { return a < b ? a : b; }
};

// A tree whose nodes are the smallest of the sixteen below: a change costs O(log n) without a
// branch that is hard to predict. Keeps its memory. Not thread-safe.
class RankMinima {
 public:
  // `ranks` become those at 0, 1, ... REQUIRES: not empty.
  void Start(const std::vector<uint32_t>& ranks) {
    Resize(ranks.size());
    for (size_t at = 0; at < ranks.size(); ++at) {
      levels_[0].placed[at] = PlacedRank::Of(ranks[at], at);
    }
    for (size_t level = 1; level < levels_.size(); ++level) {
      const size_t nodes = levels_[level - 1].places.size();
      for (size_t node = 0; node < nodes; ++node) Refresh(level, node);
    }
  }

  void Set(size_t at, uint32_t rank) {
    levels_[0].placed[at] = PlacedRank::Of(rank, at);
    for (size_t level = 1; level < levels_.size(); ++level) {
      at /= PlacedRank::kPlaces;
      if (!Refresh(level, at)) return;
    }
  }

  struct Least {
    uint32_t rank;  // kNoRank: there is none
    size_t at;      // the first of those with this rank
  };
  Least Find() const {
    const int32_t top = PlacedRank::Smallest(levels_.back().placed.data());
    size_t at = PlacedRank::Place(top);
    for (size_t level = levels_.size() - 1; level > 0; --level) {
      at = at * PlacedRank::kPlaces + levels_[level - 1].places[at];
    }
    return {PlacedRank::Rank(top), at};
  }

 private:
  struct Level {
    std::vector<int32_t> placed;  // whole groups of sixteen
    std::vector<uint8_t> places;  // of each group: where its smallest is
  };

  void Resize(size_t size) {
    size_t levels = 0;
    do {
      if (levels == levels_.size()) levels_.emplace_back();
      Level& level = levels_[levels++];
      const size_t groups = (size + PlacedRank::kPlaces - 1) / PlacedRank::kPlaces;
      level.placed.assign(groups * PlacedRank::kPlaces, PlacedRank::Of(PlacedRank::kNoRank, 0));
      level.places.assign(groups, 0);
      size = groups;
    } while (size > 1);
    levels_.resize(levels);
  }

  // False when the node of `level` was the same before, so that nothing above it changes.
  bool Refresh(size_t level, size_t node) {
    Level& below = levels_[level - 1];
    const int32_t least = PlacedRank::Smallest(&below.placed[node * PlacedRank::kPlaces]);
    const auto place = static_cast<uint8_t>(PlacedRank::Place(least));
    const int32_t placed = PlacedRank::Of(PlacedRank::Rank(least), node);
    int32_t& own = levels_[level].placed[node];
    if (own == placed && below.places[node] == place) return false;
    const bool is_same_rank = own == placed;
    own = placed;
    below.places[node] = place;
    return !is_same_rank;
  }

  std::vector<Level> levels_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_RANK_MINIMA_H_
