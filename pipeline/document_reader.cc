#include "pipeline/document_reader.h"

#include <simdjson.h>

#include <algorithm>
#include <optional>

#include "base/digest.h"
#include "base/env.h"
#include "pipeline/document_cutter.h"
#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr uint64_t kReadBytes = 1 << 20;

// The shard's bytes, as they were when the plan was made.
absl::StatusOr<std::string> ReadShard(const SourceShard& shard) {
  const auto changed = [&](const std::string& how) {
    return FailedPrecondition(shard.path + ": the file changed while the job ran (" + how +
                              "): leave the sources alone, or start the job again");
  };
  auto bytes = Env::Posix()->ReadRange(shard.path, shard.begin, shard.end - shard.begin);
  if (absl::IsNotFound(bytes.status())) return changed("it is gone");
  if (absl::IsDataLoss(bytes.status())) return changed("it is shorter");
  if (!bytes.ok()) return bytes.status();
  if (Xxh3(*bytes) != shard.xxh3) {
    return changed("bytes " + std::to_string(shard.begin) + " to " + std::to_string(shard.end) +
                   " differ");
  }
  return bytes;
}

// Line of the file, from 1, that holds byte `offset`. Reads the file: for messages only.
absl::StatusOr<uint64_t> LineOf(const std::string& path, uint64_t offset) {
  uint64_t line = 1;
  for (uint64_t at = 0; at < offset; at += kReadBytes) {
    ASSIGN_OR_RETURN(const std::string block,
                     Env::Posix()->ReadRange(path, at, std::min(kReadBytes, offset - at)));
    line += std::count(block.begin(), block.end(), '\n');
  }
  return line;
}

class ShardReader {
 public:
  using Visitor = std::function<absl::Status(std::string_view)>;

  ShardReader(const jobs::DataSpec& data, const SourceShard& shard, const Visitor& visit)
      : data_(data), shard_(shard), visit_(visit) {}

  absl::StatusOr<ReadCounts> Read() {
    ASSIGN_OR_RETURN(bytes_, ReadShard(shard_));
    std::string_view rest = bytes_;
    if (shard_.begin == 0 && rest.starts_with(kByteOrderMark)) {
      rest.remove_prefix(kByteOrderMark.size());
    }
    while (!rest.empty()) {
      const std::string_view raw = TakeDocument(RuleOf(data_), &rest);
      if (!IsBlank(raw)) RETURN_IF_ERROR(Raw(raw));
    }
    return counts_;
  }

 private:
  absl::Status Raw(std::string_view raw) {
    std::string repaired;
    if (!IsValidUtf8(raw)) {
      if (data_.invalid_utf8 == jobs::InvalidUtf8::kRefuse) return Refusal(raw);
      uint64_t replaced = 0;
      repaired = ReplaceInvalidUtf8(raw, &replaced);
      counts_.invalid_utf8 += replaced;
      ++counts_.invalid_documents;
    }
    const std::string_view valid = repaired.empty() ? raw : repaired;
    return data_.format == jobs::DataFormat::kJsonl ? Json(raw, valid) : Document(valid);
  }

  // `raw` is where the line lies in the shard, `line` its text once valid.
  absl::Status Json(std::string_view raw, std::string_view line) {
    simdjson::dom::element root;
    if (const auto error = parser_.parse(line.data(), line.size()).get(root)) {
      return AtLine(raw, std::string("not JSON: ") + simdjson::error_message(error));
    }
    simdjson::dom::object object;
    if (root.get(object)) return AtLine(raw, "the line is not a JSON object");
    simdjson::dom::element member;
    if (object.at_key(data_.field).get(member)) {
      return AtLine(raw, "no member \"" + data_.field +
                             "\": set [data] field to the member that is the text");
    }
    std::string_view text;
    if (member.get(text)) {
      return AtLine(raw, "member \"" + data_.field + "\" is not a string");
    }
    while (text.ends_with('\n')) text.remove_suffix(1);
    return IsBlank(text) ? absl::OkStatus() : Document(text);
  }

  absl::Status Document(std::string_view text) {
    ++counts_.documents;
    counts_.bytes += text.size();
    return visit_(text);
  }

  uint64_t OffsetOf(std::string_view raw) const {
    return shard_.begin + static_cast<uint64_t>(raw.data() - bytes_.data());
  }

  absl::Status Refusal(std::string_view raw) const {
    return InvalidArgument(shard_.path + ": invalid UTF-8 at byte " +
                           std::to_string(OffsetOf(raw) + FirstInvalidUtf8(raw)) +
                           ": repair the file, or set [data] invalid_utf8 = \"replace\"");
  }

  absl::Status AtLine(std::string_view raw, const std::string& what) const {
    ASSIGN_OR_RETURN(const uint64_t line, LineOf(shard_.path, OffsetOf(raw)));
    return InvalidArgument(shard_.path + ":" + std::to_string(line) + ": " + what);
  }

  const jobs::DataSpec& data_;
  const SourceShard& shard_;
  const Visitor& visit_;
  std::string bytes_;
  ReadCounts counts_;
  simdjson::dom::parser parser_;
};

}  // namespace

absl::StatusOr<ReadCounts> ReadDocuments(
    const jobs::DataSpec& data, const SourceShard& shard,
    const std::function<absl::Status(std::string_view text)>& visit) {
  return ShardReader(data, shard, visit).Read();
}

}  // namespace halcyon::pipeline
