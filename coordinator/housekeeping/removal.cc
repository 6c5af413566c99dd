#include "coordinator/housekeeping/removal.h"

#include <algorithm>
#include <utility>

#include "coordinator/stages/artifact_store.h"
#include "storage/job_journal.h"
#include "storage/lease.h"

namespace halcyon::coordinator {
namespace {

// What the name of an unfinished artifact ends with.
constexpr char kRemovingSuffix[] = ".tmp";

std::string PathOfArtifact(const storage::HomeLayout& home, const StageKey& key) {
  return home.Artifact(std::string(jobs::StageName(key.kind)), key.short_fingerprint);
}

std::string PathOfWork(const storage::HomeLayout& home, const StageKey& key) {
  return home.Work(std::string(jobs::StageName(key.kind)), key.short_fingerprint);
}

std::string WholeFingerprint(const HomeContents& contents, const StageKey& key) {
  for (const storage::ArtifactRecord& artifact : contents.artifacts) {
    if (KeyOf(artifact.kind, artifact.fingerprint) == key) return artifact.fingerprint;
  }
  return "";
}

void AddRemoved(const std::string& path, const StageKey& stage, const std::string& fingerprint,
                DiskUsage* usage, RemovalPlan* plan) {
  RemovedPath part;
  part.path = path;
  part.bytes = usage->Add(path);
  part.stage = stage;
  part.fingerprint = fingerprint;
  plan->removed.push_back(std::move(part));
}

// A renamed folder is no artifact any more, so half of one never passes for a whole one; the next
// run removes what an interruption leaves of it.
absl::Status RemoveArtifactFolder(Env& env, const RemovedPath& part) {
  const std::string aside = part.path + kRemovingSuffix;
  if (env.Exists(part.path)) {
    RETURN_IF_ERROR(env.RemoveTree(aside));
    RETURN_IF_ERROR(env.Rename(part.path, aside));
    RETURN_IF_ERROR(env.SyncDir(DirName(part.path)));
  }
  return env.RemoveTree(aside);
}

void PlanStage(Env& env, const storage::HomeLayout& home, const HomeContents& contents,
               const StageKey& key, DiskUsage* usage, RemovalPlan* plan) {
  const std::string work = PathOfWork(home, key), artifact = PathOfArtifact(home, key);
  const std::string fingerprint = WholeFingerprint(contents, key);
  if (env.Exists(work)) AddRemoved(work, key, "", usage, plan);
  const std::string half_removed = artifact + kRemovingSuffix;
  if (env.Exists(half_removed)) AddRemoved(half_removed, key, "", usage, plan);
  if (!fingerprint.empty()) {
    AddRemoved(artifact, key, fingerprint, usage, plan);
  } else if (env.Exists(artifact)) {
    plan->kept.push_back({artifact, "unknown jobs: its artifact.json cannot be read"});
  }
}

}  // namespace

absl::StatusOr<std::vector<std::string>> JobFolders(Env& env, const storage::HomeLayout& home) {
  const std::string all = DirName(home.Job("any"));
  if (!env.Exists(all)) return std::vector<std::string>();
  return env.ListDir(all);
}

absl::StatusOr<std::map<std::string, std::set<StageKey>>> UseOfAllJobs(
    Env& env, const storage::HomeLayout& home) {
  std::map<std::string, std::set<StageKey>> jobs;
  ASSIGN_OR_RETURN(const std::vector<std::string> folders, JobFolders(env, home));
  for (const std::string& id : folders) {
    const auto history = storage::ReadJobHistory(env, home.Journal(id));
    if (history.ok()) jobs[id] = UsedBy(history->job);
    const auto status = ReadJobStatus(env, home, id);
    if (status.ok()) {
      jobs[id].merge(UsedBy(*status));
    } else if (!absl::IsNotFound(status.status()) && !jobs.contains(id)) {
      return Annotate(status.status(), "it cannot be known what job " + id + " uses");
    }
  }
  return jobs;
}

absl::StatusOr<HomeContents> ReadHomeContents(Env& env, const storage::HomeLayout& home) {
  HomeContents contents;
  ASSIGN_OR_RETURN(contents.jobs, UseOfAllJobs(env, home));
  ASSIGN_OR_RETURN(contents.artifacts, ArtifactStore(env, home).List());
  ASSIGN_OR_RETURN(contents.work, ScanWork(env, home));
  return contents;
}

void PlanStages(Env& env, const storage::HomeLayout& home, const HomeContents& contents,
                const JobParts& parts, DiskUsage* usage, RemovalPlan* plan) {
  // Later stages first: an artifact never outlives what it was made from.
  for (auto key = parts.removable.rbegin(); key != parts.removable.rend(); ++key) {
    PlanStage(env, home, contents, *key, usage, plan);
  }
  for (const auto& [key, who] : parts.needed) {
    for (const std::string& path : {PathOfArtifact(home, key), PathOfWork(home, key)}) {
      if (env.Exists(path)) plan->kept.push_back({path, who});
    }
  }
}

absl::Status Remove(Env& env, Clock& clock, const storage::HomeLayout& home, RemovalPlan* plan,
                    const NeededBy& needed_by) {
  std::vector<RemovedPath> removed;
  for (const RemovedPath& part : std::exchange(plan->removed, {})) {
    const bool is_of_stage = !part.stage.short_fingerprint.empty();
    storage::LeaseSeeker seeker(
        env, clock,
        home.Claim(std::string(jobs::StageName(part.stage.kind)), part.stage.short_fingerprint),
        storage::ThisProcess(plan->who));
    std::unique_ptr<storage::Lease> claim;
    if (is_of_stage) {
      ASSIGN_OR_RETURN(claim, seeker.TryTake());
      std::string user = claim == nullptr ? seeker.holder().ToString() : "";
      if (user.empty()) {
        ASSIGN_OR_RETURN(user, needed_by(part.stage));
      }
      if (!user.empty()) {
        plan->kept.push_back({part.path, user});
        plan->bytes_freed -= std::min(plan->bytes_freed, part.bytes);
        continue;
      }
    }
    const bool is_artifact = !part.fingerprint.empty();
    RETURN_IF_ERROR(is_artifact ? RemoveArtifactFolder(env, part) : env.RemoveTree(part.path));
    removed.push_back(part);
  }
  plan->removed = std::move(removed);
  return absl::OkStatus();
}

}  // namespace halcyon::coordinator
