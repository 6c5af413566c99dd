#include "pipeline/sources/source_plans.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/digest.h"
#include "base/shared_file.h"
#include "jobs/source_names.h"
#include "pipeline/for_all.h"
#include "storage/strict_json.h"

namespace halcyon::pipeline {
namespace {

using nlohmann::json;

// Raised when the same settings cut otherwise.
constexpr uint64_t kPlanVersion = 1;
constexpr size_t kChecksumDigits = 16;
constexpr size_t kNameDigits = 32;
constexpr char kPlansFolder[] = "plans";

// What decides where the text of `path` is cut.
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

// Calls work(i) for 0 ... count - 1 on all processors; the first error by number.
absl::Status ForAllFiles(size_t count, const std::function<absl::Status(size_t)>& work) {
  std::vector<absl::Status> results(count);
  ForAll(count, ProcessorCount(), [&](size_t i, size_t) { results[i] = work(i); });
  for (absl::Status& result : results) RETURN_IF_ERROR(std::move(result));
  return absl::OkStatus();
}

}  // namespace

std::string EncodeSourcePlan(const jobs::DataSpec& data, const std::string& path,
                             const CutSource& plan) {
  json to = {{"key", TextOf(KeyOf(data, path))}, {"sha256", plan.sha256}};
  if (!plan.index_sha256.empty()) to["index_sha256"] = plan.index_sha256;
  json& ranges = to["shards"] = json::array();
  for (const SourceRange& range : plan.ranges) {
    ranges.push_back({range.begin, range.end, range.xxh3});
  }
  const std::string text = TextOf(to);
  return ChecksumOf(text) + text;
}

absl::StatusOr<CutSource> DecodeSourcePlan(const jobs::DataSpec& data, const std::string& path,
                                           std::string_view text) {
  const std::string_view body = text.substr(std::min(text.size(), kChecksumDigits + 1));
  if (body.empty() || ChecksumOf(body) != text.substr(0, kChecksumDigits + 1)) {
    return DataLoss("a plan of a source: its checksum differs");
  }
  ASSIGN_OR_RETURN(const json from, storage::ParseStrictJson(body));
  ASSIGN_OR_RETURN(const std::string key, storage::StringMember(from, "key"));
  if (key != TextOf(KeyOf(data, path))) return NotFound("no plan of " + path);
  CutSource plan;
  ASSIGN_OR_RETURN(plan.sha256, storage::StringMember(from, "sha256"));
  if (from.contains("index_sha256")) {
    ASSIGN_OR_RETURN(plan.index_sha256, storage::StringMember(from, "index_sha256"));
  }
  ASSIGN_OR_RETURN(const json* ranges, storage::ArrayMember(from, "shards"));
  for (const json& one : *ranges) {
    ASSIGN_OR_RETURN(SourceRange range, RangeOf(one, path));
    plan.ranges.push_back(std::move(range));
  }
  return plan;
}

SourcePlans::SourcePlans(Env& env, const std::string& dir)
    : env_(env), digests_(env, dir), dir_(JoinPath(dir, kPlansFolder)) {}

absl::StatusOr<std::vector<std::string>> SourcePlans::DigestsOf(const jobs::DataSpec& data) {
  const std::vector<std::string> files = data.Files();
  std::vector<std::string> digests(files.size());
  RETURN_IF_ERROR(ForAllFiles(digests.size(), [&](size_t i) -> absl::Status {
    CutSource unused;
    ASSIGN_OR_RETURN(digests[i], digests_.Of(files[i], [&](const std::string& source) {
      return Read(data, source, &unused);
    }));
    return absl::OkStatus();
  }));
  return digests;
}

absl::Status SourcePlans::ReadAnew(const jobs::DataSpec& data) {
  const std::vector<std::string> files = data.Files();
  return ForAllFiles(files.size(), [&](size_t i) {
    CutSource unused;
    const auto read = [&](const std::string& source) { return Read(data, source, &unused); };
    return digests_.ReadAnew(files[i], read).status();
  });
}

absl::StatusOr<ShardPlan> SourcePlans::PlanShards(const jobs::DataSpec& data,
                                                  const std::vector<std::string>& source_digests) {
  const std::vector<std::string> files = data.Files();
  if (source_digests.size() != files.size()) {
    return Internal(
        fmt::format("{} digests of {} files were given", source_digests.size(), files.size()));
  }
  std::map<std::string, std::string> digest_of;
  for (size_t i = 0; i < files.size(); ++i) digest_of[files[i]] = source_digests[i];
  std::vector<CutSource> sources(files.size());
  RETURN_IF_ERROR(ForAllFiles(sources.size(), [&](size_t i) -> absl::Status {
    const auto index = digest_of.find(jobs::IndexNameOf(files[i]));
    ASSIGN_OR_RETURN(sources[i], PlanOf(data, files[i], source_digests[i],
                                        index == digest_of.end() ? "" : index->second));
    return absl::OkStatus();
  }));
  return JoinSources(data, std::move(sources));
}

absl::StatusOr<CutSource> SourcePlans::PlanOf(const jobs::DataSpec& data, const std::string& source,
                                              const std::string& sha256,
                                              const std::string& index_sha256) {
  std::optional<CutSource> plan;
  const auto read = [&](const std::string& path) { return Read(data, path, &plan.emplace()); };
  auto digest = digests_.Of(source, read);
  if (digest.ok() && *digest == sha256 && !plan) {
    const auto text = env_.ReadFile(PathOf(data, source));
    auto remembered = text.ok() ? DecodeSourcePlan(data, source, *text) : text.status();
    if (remembered.ok() && remembered->sha256 == sha256 &&
        remembered->index_sha256 == index_sha256) {
      return remembered;
    }
    digest = digests_.ReadAnew(source, read);
  }
  if (absl::IsNotFound(digest.status())) return SourceChanged(source, "it is gone");
  if (!digest.ok()) {
    // Bytes that cannot be cut may be others than those of the digest.
    const auto others = Sha256OfFile(source);
    if (!others.ok() || *others == sha256) return digest.status();
  } else if (*digest == sha256) {
    if (plan->index_sha256 == index_sha256) return *std::move(plan);
    return SourceChanged(jobs::IndexNameOf(source), "its SHA-256 differs");
  }
  return SourceChanged(source, "its SHA-256 differs");
}

absl::StatusOr<std::string> SourcePlans::Read(const jobs::DataSpec& data, const std::string& source,
                                              CutSource* plan) {
  ASSIGN_OR_RETURN(*plan, Cut(data, source));
  RETURN_IF_ERROR(env_.CreateDirs(dir_));
  RETURN_IF_ERROR(WriteSharedFile(env_, PathOf(data, source), EncodeSourcePlan(data, source, *plan),
                                  Durability::kUnsynced));
  return plan->sha256;
}

std::string SourcePlans::PathOf(const jobs::DataSpec& data, const std::string& source) const {
  const std::string name = Sha256::Of(TextOf(KeyOf(data, source))).substr(0, kNameDigits);
  return JoinPath(dir_, name + ".plan");
}

}  // namespace halcyon::pipeline
