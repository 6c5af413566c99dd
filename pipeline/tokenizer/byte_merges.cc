#include "pipeline/tokenizer/byte_merges.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "pipeline/tokenizer/merge_table.h"
#include "pipeline/tokenizer/piece_merger.h"

namespace halcyon::pipeline {
namespace {

constexpr uint32_t kUnreached = 0xFFFFFFFF;

// Drops the merges that are never done: of several to one token all but the last of its bytes.
absl::Status KeepThoseDone(std::span<const std::string> tokens,
                           const std::array<uint32_t, 256>& id_of_byte,
                           std::vector<RankedMerge>* merges) {
  MergeTable table;
  table.Reserve(merges->size());
  std::vector<uint32_t> ways(tokens.size());
  for (size_t i = 0; i < merges->size(); ++i) {
    const auto& [left, right, result, rank] = (*merges)[i];
    if (!table.Add(left, right, {rank, result})) {
      return InvalidArgument("merge " + std::to_string(i) + " was given before");
    }
    ++ways[result];
  }
  PieceMerger merger(&table);
  std::vector<std::pair<uint32_t, uint32_t>> last(tokens.size(), {kUnreached, kUnreached});
  std::vector<uint32_t> symbols, ids;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (ways[id] < 2) continue;
    symbols.clear();
    for (const char byte : tokens[id]) symbols.push_back(id_of_byte[static_cast<uint8_t>(byte)]);
    ids.clear();
    merger.Merge(symbols, &ids);
    if (ids.size() == 1) last[id] = merger.last_pair();
  }
  std::erase_if(*merges, [&](const RankedMerge& merge) {
    return ways[merge.result] > 1 && last[merge.result] != std::pair(merge.left, merge.right);
  });
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ByteMerges> ByteMerges::Create(std::span<const std::string> tokens,
                                              const std::array<uint32_t, 256>& id_of_byte,
                                              std::vector<RankedMerge> merges) {
  RETURN_IF_ERROR(KeepThoseDone(tokens, id_of_byte, &merges));
  if (merges.size() + 256 > kSymbolsMax) {
    return InvalidArgument(std::to_string(merges.size()) + " merges are too many: at most " +
                           std::to_string(kSymbolsMax - 256) + " are supported");
  }
  std::sort(merges.begin(), merges.end(),
            [](const RankedMerge& a, const RankedMerge& b) { return a.rank < b.rank; });
  ByteMerges own;
  std::vector<uint32_t> symbol_of_id(tokens.size(), kUnreached);
  own.id_of_symbol_.assign(id_of_byte.begin(), id_of_byte.end());
  for (const RankedMerge& merge : merges) own.id_of_symbol_.push_back(merge.result);
  for (uint32_t symbol = 0; symbol < own.id_of_symbol_.size(); ++symbol) {
    symbol_of_id[own.id_of_symbol_[symbol]] = symbol;
  }
  const size_t slots = std::bit_ceil(std::max(merges.size() + merges.size() / 2, kSlotsMin));
  own.slots_ = ZeroedArray<uint64_t>(slots + 1);
  own.seen_ = ZeroedArray<uint64_t>((slots << kSeenBits) / 64);
  own.shift_ = 64 - std::countr_zero(slots);
  own.seen_shift_ = own.shift_ - kSeenBits;
  for (size_t i = 0; i < own.of_bytes_.size(); ++i) own.of_bytes_[i] = PlacedRank::kNoRank;
  for (const auto& [left, right, result, rank] : merges) {
    const uint32_t a = symbol_of_id[left], b = symbol_of_id[right];
    // Tokens that nothing merges to appear in no piece.
    if (a != kUnreached && b != kUnreached) own.Put(a, b, symbol_of_id[result]);
  }
  return own;
}

void ByteMerges::Put(uint32_t left, uint32_t right, uint32_t result) {
  if ((left | right) < 256) {
    of_bytes_[left << 8 | right] = result;
    return;
  }
  const uint64_t pair = Pair(left, right), hash = Hash(pair);
  seen_[hash >> seen_shift_ >> 6] |= uint64_t{1} << (hash >> seen_shift_ & 63);
  size_t slot = (hash >> shift_) + 1;
  while (slots_[slot] != 0) slot = slot + 1 == slots_.size() ? 1 : slot + 1;
  slots_[slot] = pair << kResultBits | result;
}

uint32_t ByteMerges::Search(const Question& question) const {
  for (size_t slot = question.place; slots_[slot] != 0;) {
    if (slots_[slot] >> kResultBits == question.pair) return Result(slots_[slot]);
    slot = slot + 1 == slots_.size() ? 1 : slot + 1;
  }
  return PlacedRank::kNoRank;
}

}  // namespace halcyon::pipeline
