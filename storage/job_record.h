// What the journal knows of a job and of the processes that work for it: values, and their JSON.
// Members and their names are a format: a member may be added with a default.
#ifndef HALCYON_STORAGE_JOB_RECORD_H_
#define HALCYON_STORAGE_JOB_RECORD_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/process_identity.h"
#include "base/status.h"
#include "jobs/job_state.h"
#include "jobs/stages.h"

namespace halcyon::storage {

struct StageRecord {
  jobs::StageKind kind{};
  jobs::StageState state = jobs::StageState::kWaiting;
  std::string fingerprint;  // "" until the inputs are known
  std::string note;         // "reused", or what changed, or why it failed
};

struct JobRecord {
  std::string job_id;
  std::string name;
  std::string spec_path;  // as the user gave it, absolute
  jobs::JobState state = jobs::JobState::kQueued;
  int64_t created_ms = 0;
  int64_t updated_ms = 0;
  std::string error;
  std::vector<StageRecord> stages;
};

// Everything that the journal of a job says.
struct JobHistory {
  JobRecord job;
  // That the coordinator has started, or that one of those has started for it.
  std::map<std::string, LocatedProcess> processes;  // by name: "agent-0", "model-rank-1"
  // By a stage's label: what a later coordinator needs to find the gang that was launched last.
  std::map<std::string, nlohmann::json> gangs;
  // By an agent's name: the same for the one that was started last under it.
  std::map<std::string, nlohmann::json> agents;
};

nlohmann::json ToJson(const JobRecord& job);
nlohmann::json ToJson(const LocatedProcess& process);
// kDataLoss on anything that the functions above did not make.
absl::StatusOr<JobRecord> JobRecordFromJson(const nlohmann::json& from);
absl::StatusOr<LocatedProcess> ProcessFromJson(const nlohmann::json& from);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_JOB_RECORD_H_
