#include "storage/journal_records.h"

#include <nlohmann/json.hpp>

namespace halcyon::storage {
namespace {

using nlohmann::json;

std::string Text(std::string_view view) { return std::string(view); }

// Paths and error messages need not be UTF-8; what is not is replaced rather than refused.
std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// Runs `read` on the parsed text; whatever the library throws is damage.
template <typename Record, typename Read>
absl::StatusOr<Record> Parse(std::string_view text, Read read) {
  try {
    Record record;
    RETURN_IF_ERROR(read(json::parse(text), &record));
    return record;
  } catch (const json::exception& error) {
    return DataLoss(error.what());
  }
}

absl::Status ReadStage(const json& from, StageRecord* stage) {
  const auto kind = jobs::StageFromName(from.at("kind").get<std::string>());
  const auto state = jobs::StageStateFromName(from.at("state").get<std::string>());
  if (!kind.ok()) return DataLoss(MessageOf(kind.status()));
  if (!state.ok()) return DataLoss(MessageOf(state.status()));
  stage->kind = *kind;
  stage->state = *state;
  from.at("fingerprint").get_to(stage->fingerprint);
  from.at("note").get_to(stage->note);
  return absl::OkStatus();
}

absl::Status ReadJob(const json& from, JobRecord* job) {
  const auto state = jobs::JobStateFromName(from.at("state").get<std::string>());
  if (!state.ok()) return DataLoss(MessageOf(state.status()));
  job->state = *state;
  from.at("job_id").get_to(job->job_id);
  from.at("name").get_to(job->name);
  from.at("spec_path").get_to(job->spec_path);
  from.at("created_ms").get_to(job->created_ms);
  from.at("updated_ms").get_to(job->updated_ms);
  from.at("error").get_to(job->error);
  for (const json& stage : from.at("stages")) {
    RETURN_IF_ERROR(ReadStage(stage, &job->stages.emplace_back()));
  }
  return absl::OkStatus();
}

absl::Status ReadArtifact(const json& from, ArtifactRecord* artifact) {
  const auto kind = jobs::StageFromName(from.at("kind").get<std::string>());
  if (!kind.ok()) return DataLoss(MessageOf(kind.status()));
  artifact->kind = *kind;
  from.at("fingerprint").get_to(artifact->fingerprint);
  from.at("content_digest").get_to(artifact->content_digest);
  from.at("path").get_to(artifact->path);
  from.at("job_id").get_to(artifact->job_id);
  from.at("created_ms").get_to(artifact->created_ms);
  from.at("bytes").get_to(artifact->bytes);
  for (const json& field : from.at("fields")) {
    artifact->fields.push_back(
        {field.at(0).get<std::string>(), field.at(1).get<std::string>()});
  }
  return absl::OkStatus();
}

absl::Status ReadSource(const json& from, SourceRecord* source) {
  from.at("path").get_to(source->path);
  from.at("size").get_to(source->size);
  from.at("mtime_ns").get_to(source->mtime_ns);
  from.at("inode").get_to(source->inode);
  from.at("sha256").get_to(source->sha256);
  return absl::OkStatus();
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
    fields.push_back(json::array({field.name, field.value}));
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
               {"inode", source.inode},
               {"sha256", source.sha256}});
}

std::string EncodeNumber(uint64_t value) { return Dump(value); }

absl::StatusOr<JobRecord> DecodeJob(std::string_view text) {
  return Parse<JobRecord>(text, ReadJob);
}

absl::StatusOr<ArtifactRecord> DecodeArtifact(std::string_view text) {
  return Parse<ArtifactRecord>(text, ReadArtifact);
}

absl::StatusOr<SourceRecord> DecodeSource(std::string_view text) {
  return Parse<SourceRecord>(text, ReadSource);
}

absl::StatusOr<uint64_t> DecodeNumber(std::string_view text) {
  return Parse<uint64_t>(text, [](const json& from, uint64_t* value) {
    if (!from.is_number_unsigned()) return DataLoss("not a number: " + Dump(from));
    from.get_to(*value);
    return absl::OkStatus();
  });
}

}  // namespace halcyon::storage
