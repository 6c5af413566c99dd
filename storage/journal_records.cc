#include "storage/journal_records.h"

#include <nlohmann/json.hpp>

#include "storage/strict_json.h"

namespace halcyon::storage {
namespace {

using nlohmann::json;

std::string Text(std::string_view view) { return std::string(view); }

// Paths and error messages need not be UTF-8; what is not is replaced rather than refused.
std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

absl::StatusOr<int64_t> IntegerMember(const json& from, const char* name) {
  ASSIGN_OR_RETURN(const json* value, Member(from, name));
  if (value->is_number_integer()) return value->get<int64_t>();
  return DataLoss(std::string("\"") + name + "\": expected an integer");
}

// An unknown enumerator name is damage here, whatever code the look-up returned.
template <typename Enum>
absl::Status ReadName(const json& from, const char* name,
                      absl::StatusOr<Enum> (*lookup)(std::string_view), Enum* out) {
  ASSIGN_OR_RETURN(const std::string text, StringMember(from, name));
  const auto found = lookup(text);
  if (!found.ok()) return DataLoss(MessageOf(found.status()));
  *out = *found;
  return absl::OkStatus();
}

absl::StatusOr<StageRecord> ReadStage(const json& from) {
  StageRecord stage;
  RETURN_IF_ERROR(ReadName(from, "kind", jobs::StageFromName, &stage.kind));
  RETURN_IF_ERROR(ReadName(from, "state", jobs::StageStateFromName, &stage.state));
  ASSIGN_OR_RETURN(stage.fingerprint, StringMember(from, "fingerprint"));
  ASSIGN_OR_RETURN(stage.note, StringMember(from, "note"));
  return stage;
}

}  // namespace

std::string EncodeJob(const JobRecord& job) {
  json stages = json::array();
  for (const StageRecord& stage : job.stages) {
    stages.push_back({{"kind", Text(jobs::StageName(stage.kind))},
                      {"state", Text(jobs::NameOf(stage.state))},
                      {"fingerprint", stage.fingerprint},
                      {"note", stage.note}});
  }
  return Dump({{"job_id", job.job_id},
               {"name", job.name},
               {"spec_path", job.spec_path},
               {"state", Text(jobs::NameOf(job.state))},
               {"created_ms", job.created_ms},
               {"updated_ms", job.updated_ms},
               {"error", job.error},
               {"stages", stages}});
}

std::string EncodeArtifact(const ArtifactRecord& artifact) {
  json fields = json::array();
  for (const jobs::FingerprintField& field : artifact.fields) {
    fields.push_back({{"name", field.name}, {"value", field.value}});
  }
  return Dump({{"kind", Text(jobs::StageName(artifact.kind))},
               {"fingerprint", artifact.fingerprint},
               {"content_digest", artifact.content_digest},
               {"fields", fields},
               {"path", artifact.path},
               {"job_id", artifact.job_id},
               {"created_ms", artifact.created_ms},
               {"bytes", artifact.bytes}});
}

std::string EncodeSource(const SourceRecord& source) {
  return Dump({{"path", source.path},
               {"size", source.size},
               {"mtime_ns", source.mtime_ns},
               {"ctime_ns", source.ctime_ns},
               {"inode", source.inode},
               {"sha256", source.sha256}});
}

std::string EncodeNumber(uint64_t value) { return Dump(value); }

absl::StatusOr<JobRecord> DecodeJob(std::string_view text) {
  ASSIGN_OR_RETURN(const json from, ParseStrictJson(text));
  JobRecord job;
  RETURN_IF_ERROR(ReadName(from, "state", jobs::JobStateFromName, &job.state));
  ASSIGN_OR_RETURN(job.job_id, StringMember(from, "job_id"));
  ASSIGN_OR_RETURN(job.name, StringMember(from, "name"));
  ASSIGN_OR_RETURN(job.spec_path, StringMember(from, "spec_path"));
  ASSIGN_OR_RETURN(job.created_ms, IntegerMember(from, "created_ms"));
  ASSIGN_OR_RETURN(job.updated_ms, IntegerMember(from, "updated_ms"));
  ASSIGN_OR_RETURN(job.error, StringMember(from, "error"));
  ASSIGN_OR_RETURN(const json* stages, ArrayMember(from, "stages"));
  for (const json& stage : *stages) {
    ASSIGN_OR_RETURN(job.stages.emplace_back(), ReadStage(stage));
  }
  return job;
}

absl::StatusOr<ArtifactRecord> DecodeArtifact(std::string_view text) {
  ASSIGN_OR_RETURN(const json from, ParseStrictJson(text));
  ArtifactRecord artifact;
  RETURN_IF_ERROR(ReadName(from, "kind", jobs::StageFromName, &artifact.kind));
  ASSIGN_OR_RETURN(artifact.fingerprint, StringMember(from, "fingerprint"));
  ASSIGN_OR_RETURN(artifact.content_digest, StringMember(from, "content_digest"));
  ASSIGN_OR_RETURN(artifact.path, StringMember(from, "path"));
  ASSIGN_OR_RETURN(artifact.job_id, StringMember(from, "job_id"));
  ASSIGN_OR_RETURN(artifact.created_ms, IntegerMember(from, "created_ms"));
  ASSIGN_OR_RETURN(artifact.bytes, UnsignedMember(from, "bytes"));
  ASSIGN_OR_RETURN(const json* fields, ArrayMember(from, "fields"));
  for (const json& field : *fields) {
    jobs::FingerprintField& added = artifact.fields.emplace_back();
    ASSIGN_OR_RETURN(added.name, StringMember(field, "name"));
    ASSIGN_OR_RETURN(added.value, StringMember(field, "value"));
  }
  return artifact;
}

absl::StatusOr<SourceRecord> DecodeSource(std::string_view text) {
  ASSIGN_OR_RETURN(const json from, ParseStrictJson(text));
  SourceRecord source;
  ASSIGN_OR_RETURN(source.path, StringMember(from, "path"));
  ASSIGN_OR_RETURN(source.size, UnsignedMember(from, "size"));
  ASSIGN_OR_RETURN(source.mtime_ns, IntegerMember(from, "mtime_ns"));
  // Records of earlier versions lack it, and count as of another file.
  if (from.contains("ctime_ns")) {
    ASSIGN_OR_RETURN(source.ctime_ns, IntegerMember(from, "ctime_ns"));
  }
  ASSIGN_OR_RETURN(source.inode, UnsignedMember(from, "inode"));
  ASSIGN_OR_RETURN(source.sha256, StringMember(from, "sha256"));
  return source;
}

absl::StatusOr<uint64_t> DecodeNumber(std::string_view text) {
  ASSIGN_OR_RETURN(const json from, ParseStrictJson(text));
  if (!from.is_number_unsigned()) return DataLoss("expected a number that is not negative");
  return from.get<uint64_t>();
}

}  // namespace halcyon::storage
