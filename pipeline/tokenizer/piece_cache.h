// The ids of pieces that were encoded before. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_PIECE_CACHE_H_
#define HALCYON_PIPELINE_TOKENIZER_PIECE_CACHE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/status.h"

namespace halcyon::pipeline {

// Not thread-safe.
class PieceCache {
 public:
  // Appends the ids of `piece`: those that encode(piece, ids) appended the first time. Long pieces
  // are rare and each differs, so keeping them only costs memory. A full cache is emptied: frequent
  // pieces are soon there again.
  template <typename EncodePiece>
  void Encode(std::string_view piece, std::vector<uint32_t>* ids, EncodePiece encode) {
    if (piece.size() > kBytesMax) return encode(piece, ids);
    const auto found = slices_.find(ToAbsl(piece));
    if (found != slices_.end()) {
      const auto begin = ids_.begin() + found->second.first;
      ids->insert(ids->end(), begin, begin + found->second.count);
      return;
    }
    if (slices_.size() == kPiecesMax) {
      slices_.clear();
      ids_.clear();
    }
    const size_t first = ids->size();
    encode(piece, ids);
    slices_.try_emplace(std::string(piece), Slice{static_cast<uint32_t>(ids_.size()),
                                                  static_cast<uint32_t>(ids->size() - first)});
    ids_.insert(ids_.end(), ids->begin() + first, ids->end());
  }

 private:
  static constexpr size_t kBytesMax = 48;
  static constexpr size_t kPiecesMax = 1 << 18;
  struct Slice {
    uint32_t first, count;  // in ids_
  };

  absl::flat_hash_map<std::string, Slice> slices_;
  std::vector<uint32_t> ids_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_PIECE_CACHE_H_
