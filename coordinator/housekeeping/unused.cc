#include "coordinator/housekeeping/unused.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <system_error>

namespace halcyon::coordinator {
namespace {

namespace fs = std::filesystem;

struct Stage {
  int64_t changed_ms = 0;
  uint64_t bytes = 0;
};
using Stages = std::map<StageKey, Stage>;

// The latest time at which something in the folder was written; 0 when it is gone.
int64_t LastChangeMs(const std::string& folder) {
  const auto time_of = [](const fs::path& path) -> int64_t {
    std::error_code error;
    const fs::file_time_type time = fs::last_write_time(path, error);
    if (error) return 0;
    const auto since_epoch = std::chrono::file_clock::to_sys(time).time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count();
  };
  int64_t latest = time_of(folder);
  std::error_code error;
  fs::recursive_directory_iterator at(folder, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    latest = std::max(latest, time_of(at->path()));
  }
  return latest;
}

void AddPart(int64_t changed_ms, const std::string& path, Stage* stage) {
  stage->changed_ms = std::max(stage->changed_ms, changed_ms);
  DiskUsage usage;
  stage->bytes += usage.Add(path);
}

// Of these alone: finding out costs a look at each file.
Stages StagesOf(const HomeContents& contents, const std::set<StageKey>& keys) {
  Stages stages;
  for (const StageKey& key : keys) stages[key];
  for (const storage::ArtifactRecord& artifact : contents.artifacts) {
    const auto stage = stages.find(KeyOf(artifact.kind, artifact.fingerprint));
    if (stage != stages.end()) AddPart(artifact.created_ms, artifact.path, &stage->second);
  }
  for (const WorkFolder& folder : contents.work) {
    const auto stage = stages.find({folder.kind, folder.short_fingerprint});
    if (stage != stages.end()) AddPart(LastChangeMs(folder.path), folder.path, &stage->second);
  }
  return stages;
}

// The newest, up to the limit.
std::set<StageKey> NewestWithin(const Stages& stages, uint64_t bytes_max) {
  std::vector<StageKey> newest_first;
  for (const auto& [key, stage] : stages) newest_first.push_back(key);
  std::ranges::stable_sort(newest_first, std::greater<>(),
                           [&](const StageKey& key) { return stages.at(key).changed_ms; });
  std::set<StageKey> within;
  uint64_t bytes = 0;
  for (const StageKey& key : newest_first) {
    bytes += stages.at(key).bytes;
    if (bytes > bytes_max) break;
    within.insert(key);
  }
  return within;
}

}  // namespace

absl::StatusOr<RemovalPlan> PlanUnused(Env& env, const storage::HomeLayout& home,
                                       const UnusedLimits& limits) {
  ASSIGN_OR_RETURN(const HomeContents contents, ReadHomeContents(env, home));
  const JobParts unused = UnusedParts(contents, [](const StageKey&) { return true; });
  const Stages stages = StagesOf(contents, unused.removable);
  const std::set<StageKey> newest = NewestWithin(stages, limits.bytes_max);
  const JobParts parts = UnusedParts(contents, [&](const StageKey& key) {
    const auto stage = stages.find(key);
    return stage != stages.end() && stage->second.changed_ms < limits.changed_before_ms &&
           !newest.contains(key);
  });
  RemovalPlan plan;
  plan.who = "removal of what no job uses";
  DiskUsage usage;
  PlanStages(env, home, contents, parts, &usage, &plan);
  plan.bytes_freed = usage.BytesFreed();
  return plan;
}

absl::Status RemoveUnused(Env& env, Clock& clock, const storage::HomeLayout& home,
                          RemovalPlan* plan) {
  return Remove(env, clock, home, plan, [&](const StageKey& key) -> absl::StatusOr<std::string> {
    ASSIGN_OR_RETURN(const auto jobs, UseOfAllJobs(env, home));
    for (const auto& [id, used] : jobs) {
      if (used.contains(key)) return "job " + id;
    }
    return std::string();
  });
}

}  // namespace halcyon::coordinator
