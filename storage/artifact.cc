#include "storage/artifact.h"

#include <limits>

#include "base/digest.h"
#include "storage/strict_json.h"
#include "storage/weights/weights_index.h"

namespace halcyon::storage {
namespace {

using nlohmann::json;

constexpr size_t kSha256Digits = 64;
// The last two lines of artifact.json; the digest is of all bytes before them.
constexpr std::string_view kDigestBegin = "  \"sha256\": \"";
constexpr std::string_view kDigestEnd = "\"\n}\n";
constexpr std::string_view kInputPrefix = "input.";

// The bytes before the digest at the end. kDataLoss when their SHA-256 differs from it.
absl::StatusOr<std::string_view> BytesBeforeDigest(std::string_view text) {
  const size_t end_size = kDigestBegin.size() + kSha256Digits + kDigestEnd.size();
  if (text.size() < end_size) return DataLoss("it is cut short");
  const std::string_view end = text.substr(text.size() - end_size);
  if (!end.starts_with(kDigestBegin) || !end.ends_with(kDigestEnd)) {
    return DataLoss("it does not end with its SHA-256");
  }
  const std::string_view covered = text.substr(0, text.size() - end_size);
  const std::string recorded(end.substr(kDigestBegin.size(), kSha256Digits));
  const std::string found = Sha256::Of(covered);
  if (found == recorded) return covered;
  return DataLoss("its SHA-256 is " + found + ", its last line records " + recorded);
}

// The format version that a text names, whatever it is; 0 when it names none.
uint64_t VersionOf(std::string_view text) {
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto version = parsed.is_object() ? parsed.find("version") : parsed.end();
  if (!parsed.is_object() || version == parsed.end()) return 0;
  return version->is_number_unsigned() ? version->get<uint64_t>() : 0;
}

absl::StatusOr<Artifact> FromJson(const json& object) {
  Artifact artifact;
  ArtifactRecord& record = artifact.record;
  ASSIGN_OR_RETURN(const std::string kind, StringMember(object, "kind"));
  const auto stage = jobs::StageFromName(kind);
  if (!stage.ok()) return DataLoss(MessageOf(stage.status()));
  record.kind = *stage;
  ASSIGN_OR_RETURN(record.fingerprint, StringMember(object, "fingerprint"));
  ASSIGN_OR_RETURN(record.content_digest, StringMember(object, "content_digest"));
  ASSIGN_OR_RETURN(const json* fields, ArrayMember(object, "fields"));
  for (const json& entry : *fields) {
    jobs::FingerprintField& field = record.fields.emplace_back();
    ASSIGN_OR_RETURN(field.name, StringMember(entry, "name"));
    ASSIGN_OR_RETURN(field.value, StringMember(entry, "value"));
  }
  ASSIGN_OR_RETURN(record.job_id, StringMember(object, "job_id"));
  ASSIGN_OR_RETURN(record.created_ms, IntegerMember(object, "created_ms"));
  ASSIGN_OR_RETURN(record.bytes, UnsignedMember(object, "bytes"));
  ASSIGN_OR_RETURN(const json* files, ArrayMember(object, "files"));
  for (const json& entry : *files) {
    ArtifactFile& file = artifact.files.emplace_back();
    ASSIGN_OR_RETURN(file.name, StringMember(entry, "name"));
    ASSIGN_OR_RETURN(file.bytes, UnsignedMember(entry, "bytes"));
    ASSIGN_OR_RETURN(file.sha256, StringMember(entry, "sha256"));
  }
  ASSIGN_OR_RETURN(const json* facts, Member(object, "facts"));
  artifact.facts = *facts;
  return artifact;
}

}  // namespace

std::string GenerationPath(const std::string& artifact_dir) {
  return JoinPath(artifact_dir, "generation");
}

bool IsCache(jobs::StageKind kind) { return jobs::ShapeOf(kind) == jobs::StageShape::kShardTasks; }

std::map<std::string, std::string> InputDigestsOf(const ArtifactRecord& record) {
  std::map<std::string, std::string> digests;
  for (const jobs::FingerprintField& field : record.fields) {
    if (field.name.starts_with(kInputPrefix)) {
      digests[field.name.substr(kInputPrefix.size())] = field.value;
    }
  }
  return digests;
}

std::string ArtifactToText(const Artifact& artifact) {
  using nlohmann::ordered_json;
  const ArtifactRecord& record = artifact.record;
  ordered_json fields = ordered_json::array();
  for (const jobs::FingerprintField& field : record.fields) {
    fields.push_back(ordered_json{{"name", field.name}, {"value", field.value}});
  }
  ordered_json files = ordered_json::array();
  for (const ArtifactFile& file : artifact.files) {
    files.push_back(
        ordered_json{{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  }
  ordered_json object;
  object["version"] = kArtifactVersion;
  object["kind"] = jobs::StageName(record.kind);
  object["fingerprint"] = record.fingerprint;
  object["content_digest"] = record.content_digest;
  object["fields"] = std::move(fields);
  object["job_id"] = record.job_id;
  object["created_ms"] = record.created_ms;
  object["bytes"] = record.bytes;
  object["files"] = std::move(files);
  object["facts"] = ordered_json(artifact.facts);
  std::string text = object.dump(2, ' ', false, ordered_json::error_handler_t::replace);
  // The digest's lines replace the closing brace.
  text.resize(text.size() - 2);
  text += ",\n";
  const std::string digest = Sha256::Of(text);
  return text.append(kDigestBegin) + digest + std::string(kDigestEnd);
}

absl::StatusOr<Artifact> ArtifactFromText(std::string_view text) {
  const absl::Status digest = BytesBeforeDigest(text).status();
  // Another version may hold its digest in another form, or none.
  const uint64_t version = VersionOf(text);
  if (version != 0 && version != kArtifactVersion) {
    return FailedPrecondition("format version " + std::to_string(version) +
                              ", this program reads version " + std::to_string(kArtifactVersion) +
                              ": it was written by another version of Halcyon; use that one, "
                              "choose another --home, or move the folder away to have it made "
                              "again");
  }
  RETURN_IF_ERROR(digest);
  ASSIGN_OR_RETURN(const json object, ParseStrictJson(text));
  ASSIGN_OR_RETURN(const uint64_t stated, UnsignedMember(object, "version"));
  if (stated != kArtifactVersion) return DataLoss("it names no format version");
  return FromJson(object);
}

std::optional<std::string> WeightsDigestOf(const std::vector<ArtifactFile>& files) {
  std::map<std::string, std::string> sha256_of;
  for (const ArtifactFile& file : files) {
    if (HoldsWeights(file.name)) sha256_of[file.name] = file.sha256;
  }
  if (sha256_of.empty()) return std::nullopt;
  return WeightsDigest(sha256_of);
}

absl::StatusOr<Artifact> ReadArtifact(Env& env, const std::string& dir) {
  const std::string path = JoinPath(dir, kArtifactFileName);
  if (!env.Exists(path)) return NotFound("no artifact in " + dir);
  ASSIGN_OR_RETURN(const std::string text, env.ReadFile(path));
  ASSIGN_OR_RETURN(Artifact artifact, ArtifactFromText(text), path);
  artifact.record.path = dir;
  return artifact;
}

std::string RemedyFor(const ArtifactRecord& record) {
  return record.job_id.empty() ? "import the checkpoint again"
                               : "make it again with `halcyon run --remake-damaged JOB.toml`";
}

}  // namespace halcyon::storage
