#include "coordinator/housekeeping/remove_job.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "coordinator/artifact_store.h"
#include "coordinator/housekeeping/disk_usage.h"
#include "coordinator/recovery.h"
#include "storage/sharing.h"

namespace halcyon::coordinator {
namespace {

// What the name of an unfinished artifact ends with.
constexpr char kRemovingSuffix[] = ".tmp";

std::string FolderOfJobs(const storage::HomeLayout& home) { return DirName(home.Job("any")); }

std::string PathOfArtifact(const storage::HomeLayout& home, const StageKey& key) {
  return home.Artifact(std::string(jobs::StageName(key.kind)), key.short_fingerprint);
}

std::string PathOfWork(const storage::HomeLayout& home, const StageKey& key) {
  return home.Work(std::string(jobs::StageName(key.kind)), key.short_fingerprint);
}

absl::StatusOr<std::vector<std::string>> JobFolders(Env& env, const storage::HomeLayout& home) {
  if (!env.Exists(FolderOfJobs(home))) return std::vector<std::string>();
  return env.ListDir(FolderOfJobs(home));
}

// What every job uses, by its journal and by its status: either may be the newer.
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

absl::Status CheckNoWorkerRuns(Env& env, const storage::HomeLayout& home,
                               const std::string& job_id) {
  const std::string alive = home.AliveFile(job_id);
  if (!env.Exists(alive)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto lock,
                   storage::FileLock::TryAcquire(alive, storage::FileLock::Mode::kExclusive));
  if (lock != nullptr) return absl::OkStatus();
  return InvalidArgument("workers of job " + job_id +
                         " are still ending; try again in some seconds");
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

}  // namespace

absl::StatusOr<std::shared_ptr<storage::Lease>> TakeJob(Env& env, Clock& clock,
                                                        const storage::HomeLayout& home,
                                                        const std::string& job_id) {
  // Root may: somebody must be able to remove what a user has left who is gone.
  if (geteuid() != 0) RETURN_IF_ERROR(storage::CheckIsOwnJob(home, job_id, "remove"));
  storage::LeaseSeeker seeker(env, clock, home.Owner(job_id),
                              storage::ThisProcess("removal of job " + job_id));
  ASSIGN_OR_RETURN(std::optional<OwnedJob> owned, TryOwnJob(env, home, job_id, seeker));
  if (owned) return owned->lease;
  return InvalidArgument(seeker.holder().ToString() + " is running; stop it first");
}

absl::StatusOr<std::string> ResolveJob(Env& env, const storage::HomeLayout& home,
                                       const std::string& id_or_name) {
  ASSIGN_OR_RETURN(const auto jobs, UseOfAllJobs(env, home));
  ASSIGN_OR_RETURN(const std::vector<std::string> folders, JobFolders(env, home));
  std::set<std::string> ids(folders.begin(), folders.end());
  for (const auto& [id, used] : jobs) ids.insert(id);
  if (ids.contains(id_or_name)) return id_or_name;
  std::vector<std::string> named;
  for (const std::string& id : ids) {
    if (id.substr(0, id.rfind('-')) == id_or_name) named.push_back(id);
  }
  if (named.size() == 1) return named[0];
  if (named.empty()) {
    return NotFound("no job " + id_or_name + " in " + home.root + "; `halcyon list` shows them");
  }
  std::string text = "several jobs have the name " + id_or_name + ": ";
  for (const std::string& id : named) text += id + (id == named.back() ? "" : ", ");
  return InvalidArgument(text + "; give one of these");
}

absl::StatusOr<RemovalPlan> PlanRemoval(Env& env, const storage::HomeLayout& home,
                                        const std::string& job_id) {
  RETURN_IF_ERROR(CheckNoWorkerRuns(env, home, job_id));
  HomeContents contents;
  ASSIGN_OR_RETURN(contents.jobs, UseOfAllJobs(env, home));
  // It is not known whose those are that cannot be read: they stay.
  ASSIGN_OR_RETURN(contents.artifacts, ArtifactStore(env, home).List());
  ASSIGN_OR_RETURN(contents.work, ScanWork(env, home));
  const JobParts parts = PartsOf(job_id, contents);
  RemovalPlan plan;
  plan.job_id = job_id;
  DiskUsage usage;
  // Later stages first: an artifact never outlives what it was made from.
  for (auto key = parts.removable.rbegin(); key != parts.removable.rend(); ++key) {
    const std::string work = PathOfWork(home, *key), artifact = PathOfArtifact(home, *key);
    const std::string fingerprint = WholeFingerprint(contents, *key);
    if (env.Exists(work)) AddRemoved(work, *key, "", &usage, &plan);
    const std::string half_removed = artifact + kRemovingSuffix;
    if (env.Exists(half_removed)) AddRemoved(half_removed, *key, "", &usage, &plan);
    if (!fingerprint.empty()) {
      AddRemoved(artifact, *key, fingerprint, &usage, &plan);
    } else if (env.Exists(artifact)) {
      plan.kept.push_back({artifact, "unknown jobs: its artifact.json cannot be read"});
    }
  }
  const std::string folder = home.Job(job_id);
  if (env.Exists(folder)) AddRemoved(folder, StageKey(), "", &usage, &plan);
  for (const auto& [key, who] : parts.needed) {
    for (const std::string& path : {PathOfArtifact(home, key), PathOfWork(home, key)}) {
      if (env.Exists(path)) plan.kept.push_back({path, who});
    }
  }
  plan.bytes_freed = usage.BytesFreed();
  return plan;
}

absl::Status Remove(Env& env, Clock& clock, const storage::HomeLayout& home, RemovalPlan* plan) {
  std::vector<RemovedPath> removed;
  for (const RemovedPath& part : std::exchange(plan->removed, {})) {
    const bool is_of_stage = !part.stage.short_fingerprint.empty();
    storage::LeaseSeeker seeker(
        env, clock,
        home.Claim(std::string(jobs::StageName(part.stage.kind)), part.stage.short_fingerprint),
        storage::ThisProcess("removal of job " + plan->job_id));
    std::unique_ptr<storage::Lease> claim;
    if (is_of_stage) {
      ASSIGN_OR_RETURN(claim, seeker.TryTake());
      if (claim == nullptr) {
        plan->kept.push_back({part.path, seeker.holder().ToString()});
        plan->bytes_freed -= std::min(plan->bytes_freed, part.bytes);
        continue;
      }
    }
    const bool is_artifact = !part.fingerprint.empty();
    RETURN_IF_ERROR(is_artifact ? RemoveArtifactFolder(env, part) : env.RemoveTree(part.path));
    removed.push_back(part);
  }
  // The job's own folder came last: until then it says what is its own, so that the command may be
  // repeated.
  plan->removed = std::move(removed);
  return absl::OkStatus();
}

}  // namespace halcyon::coordinator
