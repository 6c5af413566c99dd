#include "pipeline/sources/document_reader.h"

#include <algorithm>
#include <limits>

#include "base/digest.h"
#include "base/env.h"
#include "pipeline/quote_bytes.h"
#include "pipeline/sources/document_cutter.h"
#include "pipeline/sources/json_lines.h"
#include "pipeline/sources/source_text.h"
#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

constexpr uint64_t kReadBytes = 1 << 20;
// Positions in a document, and its tokens, are counted in 32 bits.
constexpr uint64_t kDocumentBytesMax = std::numeric_limits<uint32_t>::max() - 1;

// The range's bytes, as they were when the plan was made.
absl::StatusOr<std::string> BytesOf(const SourceRange& range) {
  const auto changed = [&](const std::string& how) { return SourceChanged(range.path, how); };
  const auto source = SourceText::Open(*Env::Posix(), range.path);
  if (absl::IsNotFound(source.status())) return changed("it is gone");
  RETURN_IF_ERROR(source.status());
  std::string bytes;
  absl::Status read = (*source)->Skip(range.begin);
  if (read.ok()) read = (*source)->Read(range.end - range.begin, &bytes);
  if (absl::IsDataLoss(read)) return changed("it cannot be unpacked any more");
  RETURN_IF_ERROR(read);
  if (bytes.size() < range.end - range.begin) return changed("it is shorter");
  if (Xxh3(bytes) != range.xxh3) {
    return changed("bytes " + std::to_string(range.begin) + " to " + std::to_string(range.end) +
                   " differ");
  }
  return bytes;
}

// Line of the file, from 1, that holds byte `offset`. Reads the file: for messages only.
absl::StatusOr<uint64_t> LineOf(const std::string& path, uint64_t offset) {
  ASSIGN_OR_RETURN(const auto source, SourceText::Open(*Env::Posix(), path));
  uint64_t line = 1;
  for (uint64_t at = 0; at < offset; at += kReadBytes) {
    std::string block;
    RETURN_IF_ERROR(source->Read(std::min(kReadBytes, offset - at), &block));
    line += std::count(block.begin(), block.end(), '\n');
  }
  return line;
}

class RangeReader {
 public:
  using Visitor = std::function<absl::Status(std::string_view)>;

  RangeReader(const jobs::DataSpec& data, const SourceRange& range, const Visitor& visit)
      : data_(data), range_(range), visit_(visit), json_(data.field, data.invalid_utf8) {}

  absl::StatusOr<ReadCounts> Read() {
    ASSIGN_OR_RETURN(bytes_, BytesOf(range_));
    std::string_view rest = bytes_;
    if (range_.begin == 0) rest = WithoutByteOrderMark(rest);
    while (!rest.empty()) {
      const std::string_view raw = TakeDocument(RuleOf(data_), &rest);
      if (!IsBlank(raw)) RETURN_IF_ERROR(Raw(raw));
    }
    return counts_;
  }

 private:
  absl::Status Raw(std::string_view raw) {
    if (data_.format == jobs::DataFormat::kJsonl) {
      const absl::StatusOr<JsonText> json = json_.Read(raw);
      if (!json.ok()) return Bad(raw, json.status());
      return IsBlank(json->text) ? absl::OkStatus() : Document(raw, json->text, json->replaced);
    }
    if (IsValidUtf8(raw)) return Document(raw, raw, 0);
    if (data_.invalid_utf8 == jobs::InvalidUtf8::kRefuse) {
      return Bad(raw, InvalidArgument("invalid UTF-8"));
    }
    uint64_t replaced = 0;
    const std::string repaired = ReplaceInvalidUtf8(raw, &replaced);
    return Document(raw, repaired, replaced);
  }

  absl::Status Document(std::string_view raw, std::string_view text, uint64_t replaced) {
    if (text.size() > kDocumentBytesMax) {
      return AtLine(raw, "a document of " + std::to_string(text.size()) + " bytes, at most " +
                             std::to_string(kDocumentBytesMax) +
                             " are possible: set [data] documents to a rule that cuts it");
    }
    ++counts_.documents;
    counts_.bytes += text.size();
    counts_.invalid_utf8 += replaced;
    counts_.invalid_documents += replaced > 0 ? 1 : 0;
    counts_.zero_bytes += static_cast<uint64_t>(std::count(text.begin(), text.end(), '\0'));
    return visit_(text);
  }

  uint64_t OffsetOf(std::string_view raw) const {
    return range_.begin + static_cast<uint64_t>(raw.data() - bytes_.data());
  }

  // Reports or counts a document that cannot be used.
  absl::Status Bad(std::string_view raw, const absl::Status& why) {
    const bool skips = data_.bad_documents == jobs::BadDocuments::kSkip;
    if (skips && ++counts_.bad_documents > 1) return absl::OkStatus();
    const absl::Status named = data_.format == jobs::DataFormat::kJsonl
                                   ? AtLine(raw, MessageOf(why))
                                   : AtByte(raw, MessageOf(why));
    if (!skips) return named;
    counts_.first_bad = MessageOf(named);
    return absl::OkStatus();
  }

  absl::Status AtByte(std::string_view raw, const std::string& what) const {
    constexpr size_t kShownBytes = 8;
    const size_t at = FirstInvalidUtf8(raw);
    return InvalidArgument(range_.path + ": " + what + " at byte " +
                           std::to_string(OffsetOf(raw) + at) + ": " +
                           QuoteBytes(raw.substr(at), kShownBytes) +
                           ": repair the file, or set [data] invalid_utf8 = \"replace\"");
  }

  absl::Status AtLine(std::string_view raw, const std::string& what) const {
    ASSIGN_OR_RETURN(const uint64_t line, LineOf(range_.path, OffsetOf(raw)));
    return InvalidArgument(range_.path + ":" + std::to_string(line) + ": " + what);
  }

  const jobs::DataSpec& data_;
  const SourceRange& range_;
  const Visitor& visit_;
  std::string bytes_;
  ReadCounts counts_;
  JsonLineReader json_;
};

}  // namespace

absl::StatusOr<ReadCounts> ReadDocuments(
    const jobs::DataSpec& data, const SourceRange& range,
    const std::function<absl::Status(std::string_view text)>& visit) {
  return RangeReader(data, range, visit).Read();
}

std::string WarningOf(const SourceRange& range, const ReadCounts& counts) {
  constexpr uint64_t kBytesToOne = 100;
  const std::string where = range.path + ", bytes " + std::to_string(range.begin) + " to " +
                            std::to_string(range.end) + ": ";
  std::string warning;
  if ((counts.invalid_utf8 + counts.zero_bytes) * kBytesToOne > counts.bytes) {
    warning = where + std::to_string(counts.invalid_utf8) + " sequences that are not UTF-8 and " +
              std::to_string(counts.zero_bytes) + " zero bytes in " + std::to_string(counts.bytes) +
              " bytes of text; is it in another encoding, or no text at all?";
  }
  if (counts.bad_documents > 0) {
    warning += warning.empty() ? where : " And ";
    warning += std::to_string(counts.bad_documents) +
               " documents that cannot be used are left out, the first being " + counts.first_bad;
  }
  return warning;
}

}  // namespace halcyon::pipeline
