#include "storage/job_record.h"

#include <utility>

#include "storage/strict_json.h"

namespace halcyon::storage {
namespace {

using nlohmann::json;

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

json ToJson(const JobRecord& job) {
  json stages = json::array();
  for (const StageRecord& stage : job.stages) {
    stages.push_back({{"kind", jobs::StageName(stage.kind)},
                      {"state", jobs::NameOf(stage.state)},
                      {"fingerprint", stage.fingerprint},
                      {"note", stage.note}});
  }
  return {{"job_id", job.job_id},         {"name", job.name},
          {"spec_path", job.spec_path},   {"state", jobs::NameOf(job.state)},
          {"created_ms", job.created_ms}, {"updated_ms", job.updated_ms},
          {"error", job.error},           {"stages", stages}};
}

json ToJson(const LocatedProcess& process) {
  return {{"host", process.host},
          {"boot_id", process.boot_id},
          {"pid_namespace", process.pid_namespace},
          {"pid", static_cast<uint64_t>(process.process.pid)},
          {"start_time", process.process.start_time}};
}

absl::StatusOr<JobRecord> JobRecordFromJson(const json& from) {
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

absl::StatusOr<LocatedProcess> ProcessFromJson(const json& from) {
  LocatedProcess process;
  ASSIGN_OR_RETURN(process.host, StringMember(from, "host"));
  ASSIGN_OR_RETURN(process.boot_id, StringMember(from, "boot_id"));
  ASSIGN_OR_RETURN(process.pid_namespace, StringMember(from, "pid_namespace"));
  ASSIGN_OR_RETURN(const uint64_t pid, UnsignedMember(from, "pid"));
  if (!std::in_range<pid_t>(pid)) return DataLoss("\"pid\": too large");
  process.process.pid = static_cast<pid_t>(pid);
  ASSIGN_OR_RETURN(process.process.start_time, UnsignedMember(from, "start_time"));
  return process;
}

}  // namespace halcyon::storage
