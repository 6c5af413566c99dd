#include "pipeline/token_files/token_cut.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/digest.h"
#include "base/env.h"
#include "jobs/source_names.h"
#include "pipeline/token_files/megatron_index.h"
#include "pipeline/token_files/token_layout.h"
#include "pipeline/token_files/token_range.h"

namespace halcyon::pipeline {
namespace {

constexpr uint64_t kIdsBlockBytes = 1 << 20;

// The end of the first id `end` that ends at byte `from` of the ids or later; nullopt: none.
std::optional<uint64_t> EndOfDocument(IdType type, std::string_view ids, uint64_t from,
                                      uint64_t end) {
  return WithIdType(type, [&]<typename Integer>(Integer) -> std::optional<uint64_t> {
    if (!std::in_range<Integer>(end)) return std::nullopt;
    const uint64_t count = ids.size() / sizeof(Integer);
    uint64_t i = from == 0 ? 0 : (from - 1) / sizeof(Integer);
    while (i < count && IntegerAt<Integer>(ids, i) != static_cast<Integer>(end)) ++i;
    if (i == count) return std::nullopt;
    return (i + 1) * sizeof(Integer);
  });
}

class TokenPlanner {
 public:
  TokenPlanner(const jobs::DataSpec& data, const std::string& path, TokenLayout layout,
               std::optional<MegatronIndex> index)
      : data_(data),
        path_(path),
        layout_(std::move(layout)),
        index_(std::move(index)),
        hash_(layout_) {}

  absl::StatusOr<CutSource> Plan() {
    Env& env = *Env::Posix();
    const uint64_t size = layout_.begin + layout_.count * layout_.type.bytes;
    uint64_t at = 0;
    while (at < size) {
      // The first block ends where an id does.
      const uint64_t block_bytes = at == 0 ? layout_.begin + kIdsBlockBytes : kIdsBlockBytes;
      const auto block = env.ReadRange(path_, at, std::min(block_bytes, size - at));
      if (absl::IsDataLoss(block.status())) return SourceChanged(path_, "it is shorter");
      RETURN_IF_ERROR(block.status());
      digest_.Update(*block);
      RETURN_IF_ERROR(AddBlock(at, *block));
      at += block->size();
    }
    if (begin_ < at) RETURN_IF_ERROR(Close(at));
    if (layout_.count == 0) plan_.ranges.clear();  // a header alone
    plan_.sha256 = digest_.HexDigest();
    return std::move(plan_);
  }

 private:
  absl::Status AddBlock(uint64_t at, std::string_view rest) {
    while (!rest.empty()) {
      ASSIGN_OR_RETURN(const std::optional<uint64_t> start, NextStart(at, rest));
      if (!start) break;
      hash_.AddBytes(rest.substr(0, *start - at));
      rest.remove_prefix(*start - at);
      at = *start;
      RETURN_IF_ERROR(Close(at));
    }
    hash_.AddBytes(rest);
    return absl::OkStatus();
  }

  // Where in the block at byte `at`, or at its end, the next range may begin.
  absl::StatusOr<std::optional<uint64_t>> NextStart(uint64_t at, std::string_view block) {
    const uint64_t from = begin_ + static_cast<uint64_t>(data_.shard_bytes);
    if (from > at + block.size()) return std::nullopt;
    if (index_) return NextOfIndex(from, at + block.size());
    if (data_.end_of_document < 0) return std::nullopt;
    const uint64_t skipped = std::max(at, layout_.begin) - at;  // the header
    const auto end =
        EndOfDocument(layout_.type, block.substr(skipped), from - std::min(from, at + skipped),
                      static_cast<uint64_t>(data_.end_of_document));
    if (!end) return std::nullopt;
    return at + skipped + *end;
  }

  absl::StatusOr<std::optional<uint64_t>> NextOfIndex(uint64_t from, uint64_t block_end) {
    for (; next_ < index_->documents(); ++next_) {
      ASSIGN_OR_RETURN(const uint64_t start, index_->Start(next_));
      if (start > block_end) return std::nullopt;
      if (start >= from) return start;
    }
    return std::nullopt;
  }

  // Ends the range at byte `end`.
  absl::Status Close(uint64_t end) {
    while (index_ && first_ < index_->documents()) {
      ASSIGN_OR_RETURN(const uint64_t start, index_->Start(first_));
      if (start >= end) break;
      ASSIGN_OR_RETURN(const uint64_t next, index_->Start(++first_));
      hash_.AddDocument(next - start);
    }
    plan_.ranges.push_back({.path = path_, .begin = begin_, .end = end, .xxh3 = hash_.Digest()});
    begin_ = end;
    hash_ = TokenRangeHash(layout_);
    return plan_.ranges.size() > kShardsMax ? TooManyShards() : absl::OkStatus();
  }

  const jobs::DataSpec& data_;
  const std::string& path_;
  const TokenLayout layout_;
  std::optional<MegatronIndex> index_;
  uint64_t begin_ = 0;             // of the range
  uint64_t first_ = 0, next_ = 0;  // documents of the index: not in a range yet; looked at
  TokenRangeHash hash_;            // of the range so far
  Sha256 digest_;                  // of the file so far
  CutSource plan_;
};

}  // namespace

absl::StatusOr<CutSource> CutTokens(const jobs::DataSpec& data, const std::string& path) {
  Env& env = *Env::Posix();
  CutSource plan;
  if (!jobs::IdsOfIndex(path).empty()) {
    ASSIGN_OR_RETURN(plan.sha256, Sha256OfFile(path));
    return plan;
  }
  ASSIGN_OR_RETURN(TokenLayout layout, ReadTokenLayout(env, path, data.token_type));
  std::optional<MegatronIndex> index;
  std::string index_sha256;
  if (const std::string index_path = jobs::IndexOfIds(path); !index_path.empty()) {
    ASSIGN_OR_RETURN(index_sha256, Sha256OfFile(index_path));
    ASSIGN_OR_RETURN(index, MegatronIndex::Open(env, index_path));
    RETURN_IF_ERROR(index->Check());
  }
  ASSIGN_OR_RETURN(plan, TokenPlanner(data, path, std::move(layout), std::move(index)).Plan());
  plan.index_sha256 = std::move(index_sha256);
  return plan;
}

}  // namespace halcyon::pipeline
