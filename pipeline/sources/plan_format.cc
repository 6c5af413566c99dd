#include "pipeline/sources/plan_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/digest.h"
#include "storage/strict_json.h"

namespace halcyon::pipeline {
namespace {

using nlohmann::json;

// Raised when the same settings cut otherwise.
constexpr uint64_t kPlanVersion = 1;
constexpr size_t kChecksumDigits = 16;

// What decides where the text of `path`, or of the files of a folder, is cut.
json KeyOf(const jobs::DataSpec& data, const std::string& path) {
  json key = {{"version", kPlanVersion},
              {"path", path},
              {"format", static_cast<int>(data.format)},
              {"documents", static_cast<int>(data.documents)},
              {"shard_bytes", data.shard_bytes}};
  if (data.format == jobs::DataFormat::kTokens) {
    key["token_type"] = static_cast<int>(data.token_type);
    key["end_of_document"] = data.end_of_document;
  }
  return key;
}

// Paths need not be UTF-8; what is not is replaced.
std::string TextOf(const json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string ChecksumOf(std::string_view text) { return fmt::format("{:016x}\n", Xxh3(text)); }

absl::StatusOr<SourceRange> RangeOf(const json& from, const std::string& path) {
  const bool is_one =
      from.is_array() && from.size() == 3 &&
      std::all_of(from.begin(), from.end(), [](const json& n) { return n.is_number_unsigned(); });
  if (!is_one || from[0] >= from[1]) return DataLoss("a plan of a source: no range");
  return SourceRange{.path = path, .begin = from[0], .end = from[1], .xxh3 = from[2]};
}

absl::StatusOr<std::vector<SourceRange>> RangesOf(const json& from, const std::string& path) {
  std::vector<SourceRange> ranges;
  for (const json& one : from) {
    ASSIGN_OR_RETURN(SourceRange range, RangeOf(one, path));
    ranges.push_back(std::move(range));
  }
  return ranges;
}

json RangesToJson(const std::vector<SourceRange>& ranges) {
  json to = json::array();
  for (const SourceRange& range : ranges) to.push_back({range.begin, range.end, range.xxh3});
  return to;
}

std::string WithChecksum(const json& json) {
  const std::string text = TextOf(json);
  return ChecksumOf(text) + text;
}

// The JSON of a file of this key. kNotFound: it is of another one.
absl::StatusOr<json> Checked(const json& key, std::string_view text) {
  const std::string_view body = text.substr(std::min(text.size(), kChecksumDigits + 1));
  if (body.empty() || ChecksumOf(body) != text.substr(0, kChecksumDigits + 1)) {
    return DataLoss("a plan of a source: its checksum differs");
  }
  ASSIGN_OR_RETURN(json from, storage::ParseStrictJson(body));
  ASSIGN_OR_RETURN(const std::string its_key, storage::StringMember(from, "key"));
  if (its_key != TextOf(key)) return NotFound("a plan of another source");
  return from;
}

absl::StatusOr<RememberedSource> RememberedOf(const json& from) {
  RememberedSource one;
  ASSIGN_OR_RETURN(one.file, storage::SourceFromJson(from));
  one.plan.sha256 = one.file.sha256;
  ASSIGN_OR_RETURN(const json* ranges, storage::ArrayMember(from, "shards"));
  ASSIGN_OR_RETURN(one.plan.ranges, RangesOf(*ranges, one.file.path));
  return one;
}

}  // namespace

std::string PlanFileName(const jobs::DataSpec& data, const std::string& path) {
  constexpr size_t kNameDigits = 32;
  return Sha256::Of(TextOf(KeyOf(data, path))).substr(0, kNameDigits) + ".plan";
}

std::string EncodeSourcePlan(const jobs::DataSpec& data, const std::string& path,
                             const CutSource& plan) {
  json to = {{"key", TextOf(KeyOf(data, path))}, {"sha256", plan.sha256}};
  if (!plan.index_sha256.empty()) to["index_sha256"] = plan.index_sha256;
  to["shards"] = RangesToJson(plan.ranges);
  return WithChecksum(to);
}

absl::StatusOr<CutSource> DecodeSourcePlan(const jobs::DataSpec& data, const std::string& path,
                                           std::string_view text) {
  ASSIGN_OR_RETURN(const json from, Checked(KeyOf(data, path), text));
  CutSource plan;
  ASSIGN_OR_RETURN(plan.sha256, storage::StringMember(from, "sha256"));
  if (from.contains("index_sha256")) {
    ASSIGN_OR_RETURN(plan.index_sha256, storage::StringMember(from, "index_sha256"));
  }
  ASSIGN_OR_RETURN(const json* ranges, storage::ArrayMember(from, "shards"));
  ASSIGN_OR_RETURN(plan.ranges, RangesOf(*ranges, path));
  return plan;
}

std::string EncodeFolderPlans(const jobs::DataSpec& data, const std::string& folder,
                              const FolderPlans& plans) {
  json to = {{"key", TextOf(KeyOf(data, folder))}};
  json& files = to["files"] = json::array();
  for (const auto& [path, one] : plans) {
    json file = storage::SourceToJson(one.file);
    file["shards"] = RangesToJson(one.plan.ranges);
    files.push_back(std::move(file));
  }
  return WithChecksum(to);
}

absl::StatusOr<FolderPlans> DecodeFolderPlans(const jobs::DataSpec& data, const std::string& folder,
                                              std::string_view text) {
  ASSIGN_OR_RETURN(const json from, Checked(KeyOf(data, folder), text));
  ASSIGN_OR_RETURN(const json* files, storage::ArrayMember(from, "files"));
  FolderPlans plans;
  for (const json& file : *files) {
    ASSIGN_OR_RETURN(RememberedSource one, RememberedOf(file));
    const std::string path = one.file.path;
    plans[path] = std::move(one);
  }
  return plans;
}

}  // namespace halcyon::pipeline
