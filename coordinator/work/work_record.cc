#include "coordinator/work/work_record.h"

#include <nlohmann/json.hpp>

#include "storage/strict_json.h"

namespace halcyon::coordinator {
namespace {

using nlohmann::json;

constexpr uint64_t kVersion = 1;

absl::StatusOr<WorkRecord> RecordFromText(const std::string& text) {
  ASSIGN_OR_RETURN(const json root, storage::ParseStrictJson(text));
  ASSIGN_OR_RETURN(const uint64_t version, storage::UnsignedMember(root, "version"));
  if (version != kVersion) {
    return DataLoss("version " + std::to_string(version) + "; this program reads version " +
                    std::to_string(kVersion));
  }
  WorkRecord record;
  ASSIGN_OR_RETURN(const std::string kind, storage::StringMember(root, "stage"));
  const auto known = jobs::StageFromName(kind);
  if (!known.ok()) return DataLoss(MessageOf(known.status()));
  record.identity.kind = *known;
  ASSIGN_OR_RETURN(const json* fields, storage::ArrayMember(root, "fields"));
  for (const json& field : *fields) {
    jobs::FingerprintField read;
    ASSIGN_OR_RETURN(read.name, storage::StringMember(field, "name"));
    ASSIGN_OR_RETURN(read.value, storage::StringMember(field, "value"));
    record.identity.fields.push_back(std::move(read));
  }
  ASSIGN_OR_RETURN(const std::string fingerprint, storage::StringMember(root, "fingerprint"));
  if (record.identity.Fingerprint() != fingerprint) {
    return DataLoss("its fields do not give its fingerprint");
  }
  ASSIGN_OR_RETURN(record.job_id, storage::StringMember(root, "job_id"));
  ASSIGN_OR_RETURN(const uint64_t created_ms, storage::UnsignedMember(root, "created_ms"));
  record.created_ms = static_cast<int64_t>(created_ms);
  ASSIGN_OR_RETURN(record.continued_from, storage::StringMember(root, "continued_from"));
  ASSIGN_OR_RETURN(record.continued_step, storage::UnsignedMember(root, "continued_step"));
  return record;
}

}  // namespace

absl::Status WriteWorkRecord(Env& env, const std::string& work_dir, const WorkRecord& record) {
  json fields = json::array();
  for (const jobs::FingerprintField& field : record.identity.fields) {
    fields.push_back({{"name", field.name}, {"value", field.value}});
  }
  const json root = {{"version", kVersion},
                     {"stage", jobs::StageName(record.identity.kind)},
                     {"fingerprint", record.identity.Fingerprint()},
                     {"fields", std::move(fields)},
                     {"job_id", record.job_id},
                     {"created_ms", record.created_ms},
                     {"continued_from", record.continued_from},
                     {"continued_step", record.continued_step}};
  return WriteFileAtomically(env, JoinPath(work_dir, kWorkRecordFile),
                             root.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

absl::StatusOr<WorkRecord> ReadWorkRecord(Env& env, const std::string& work_dir) {
  const std::string path = JoinPath(work_dir, kWorkRecordFile);
  ASSIGN_OR_RETURN(const std::string text, env.ReadFile(path));
  ASSIGN_OR_RETURN(WorkRecord record, RecordFromText(text), path);
  return record;
}

}  // namespace halcyon::coordinator
