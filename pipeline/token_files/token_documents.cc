#include "pipeline/token_files/token_documents.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "jobs/source_names.h"
#include "pipeline/token_files/megatron_index.h"
#include "pipeline/token_files/stored_ids.h"
#include "pipeline/token_files/token_layout.h"
#include "pipeline/token_files/token_range.h"

namespace halcyon::pipeline {
namespace {

// Lengths are counted in 32 bits.
constexpr uint64_t kDocumentIdsMax = std::numeric_limits<uint32_t>::max() - 1;

class TokenRangeReader {
 public:
  TokenRangeReader(Env& env, const jobs::DataSpec& data, const SourceRange& range,
                   const std::vector<bool>& known, const TokenVisitor& visit)
      : env_(env), data_(data), range_(range), known_(known), visit_(visit) {}

  absl::StatusOr<TokenCounts> Read() {
    RETURN_IF_ERROR(Load());
    counts_.file_ids = layout_.count;
    counts_.range_ids = ids_.size();
    counts_.zero_ids = static_cast<uint64_t>(std::ranges::count(ids_, 0u));
    std::span<const uint32_t> rest = ids_;
    for (const uint64_t bytes : document_bytes_) {
      const size_t count = bytes / layout_.type.bytes;
      RETURN_IF_ERROR(CutAtEnds(rest.first(count)));
      rest = rest.subspan(count);
    }
    RETURN_IF_ERROR(CutAtEnds(rest));
    return counts_;
  }

 private:
  absl::Status Changed(const std::string& how) const { return SourceChanged(range_.path, how); }

  // Reads the ids and compares all that they depend on with the plan.
  absl::Status Load() {
    auto layout = ReadTokenLayout(env_, range_.path, data_.token_type);
    if (absl::IsNotFound(layout.status())) return Changed("it is gone");
    if (absl::IsInvalidArgument(layout.status())) return Changed(MessageOf(layout.status()));
    RETURN_IF_ERROR(layout.status());
    layout_ = *std::move(layout);
    const auto bytes = env_.ReadRange(range_.path, range_.begin, range_.end - range_.begin);
    if (absl::IsDataLoss(bytes.status())) return Changed("it is shorter");
    RETURN_IF_ERROR(bytes.status());
    const absl::Status parted = ReadIndex();
    if (absl::IsInvalidArgument(parted) || absl::IsDataLoss(parted)) {
      return Changed(MessageOf(parted));
    }
    RETURN_IF_ERROR(parted);
    TokenRangeHash hash(layout_);
    hash.AddBytes(*bytes);
    for (const uint64_t document : document_bytes_) hash.AddDocument(document);
    if (hash.Digest() != range_.xxh3) {
      return Changed(
          fmt::format("bytes {} to {} or what parts them differ", range_.begin, range_.end));
    }
    const uint64_t header = range_.begin == 0 ? layout_.begin : 0;
    first_byte_ = range_.begin + header;
    return Decode(std::string_view(*bytes).substr(header));
  }

  // The bytes of the documents that begin in the range.
  absl::Status ReadIndex() {
    const std::string path = jobs::IndexOfIds(range_.path);
    if (path.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(MegatronIndex index, MegatronIndex::Open(env_, path));
    ASSIGN_OR_RETURN(uint64_t document, index.FirstFrom(range_.begin));
    ASSIGN_OR_RETURN(uint64_t start, index.Start(document));
    while (document < index.documents() && start < range_.end) {
      ASSIGN_OR_RETURN(const uint64_t end, index.Start(++document));
      if (end < start || end > range_.end) return InvalidArgument(path + ": it is another one");
      document_bytes_.push_back(end - start);
      start = end;
    }
    return absl::OkStatus();
  }

  absl::Status Decode(std::string_view bytes) {
    const auto is_known = [&](uint64_t id) {
      return (id < known_.size() && known_[id]) || std::cmp_equal(id, data_.end_of_document);
    };
    const auto unknown = DecodeIds(layout_.type, bytes, is_known, &ids_);
    if (!unknown) return absl::OkStatus();
    return InvalidArgument(fmt::format(
        "{}: {}: name the tokenizer that the ids were made with in [tokenizer] path, and look at "
        "how they are stored ({})",
        range_.path, TextOf(*unknown, layout_, first_byte_, known_.size()), layout_.kind));
  }

  absl::Status CutAtEnds(std::span<const uint32_t> ids) {
    if (data_.end_of_document < 0) return Document(ids);
    const auto end = static_cast<uint32_t>(data_.end_of_document);
    while (true) {
      const auto found = std::ranges::find(ids, end);
      const auto count = static_cast<size_t>(found - ids.begin());
      RETURN_IF_ERROR(Document(ids.first(count)));
      if (count == ids.size()) return absl::OkStatus();
      ++counts_.ends;
      ids = ids.subspan(count + 1);
    }
  }

  absl::Status Document(std::span<const uint32_t> ids) {
    if (ids.empty()) return absl::OkStatus();
    if (ids.size() > kDocumentIdsMax) {
      return InvalidArgument(fmt::format(
          "{}: a document of {} ids, at most {} are possible: say which id ends a document with "
          "[data] end_of_document",
          range_.path, ids.size(), kDocumentIdsMax));
    }
    ++counts_.documents;
    counts_.tokens += ids.size();
    const auto visited = static_cast<double>(ids.data() + ids.size() - ids_.data());
    return visit_(ids, visited / static_cast<double>(ids_.size()));
  }

  Env& env_;
  const jobs::DataSpec& data_;
  const SourceRange& range_;
  const std::vector<bool>& known_;
  const TokenVisitor& visit_;
  TokenLayout layout_;
  uint64_t first_byte_ = 0;               // of the range's ids, in the file
  std::vector<uint64_t> document_bytes_;  // by the index; none without
  std::vector<uint32_t> ids_;
  TokenCounts counts_;
};

}  // namespace

std::vector<bool> KnownIds(const Tokenizer& tokenizer) {
  std::vector<bool> known(tokenizer.vocab_size());
  for (uint32_t id = 0; id < known.size(); ++id) known[id] = tokenizer.Has(id);
  return known;
}

absl::StatusOr<TokenCounts> ReadTokenDocuments(Env& env, const jobs::DataSpec& data,
                                               const SourceRange& range,
                                               const std::vector<bool>& known,
                                               const TokenVisitor& visit) {
  return TokenRangeReader(env, data, range, known, visit).Read();
}

std::string WarningOf(const jobs::DataSpec& data, const SourceRange& range,
                      const TokenCounts& counts) {
  // With two bytes read for four, at least every second id is 0.
  constexpr double kZerosMany = 0.49;
  if (data.token_type == jobs::TokenType::kUint16 &&
      static_cast<double>(counts.zero_ids) > kZerosMany * static_cast<double>(counts.range_ids)) {
    return fmt::format("{}: {} of {} ids are 0; are they stored as uint32?", range.path,
                       counts.zero_ids, counts.range_ids);
  }
  if (data.end_of_document >= 0 && counts.ends == 0 && counts.range_ids == counts.file_ids &&
      counts.documents == 1) {
    return fmt::format(
        "{}: id {} ([data] end_of_document) is nowhere in it, so that it is one document",
        range.path, data.end_of_document);
  }
  return "";
}

}  // namespace halcyon::pipeline
