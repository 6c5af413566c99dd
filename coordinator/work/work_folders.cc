#include "coordinator/work/work_folders.h"

#include "cluster/outputs.h"
#include "coordinator/stages/start_over.h"
#include "storage/artifact.h"
#include "storage/checkpoint.h"

namespace halcyon::coordinator {
namespace {

// "model-9c1185a5c5e9fc54"; nullopt for other names.
std::optional<WorkFolder> FromName(const std::string& name) {
  const size_t dash = name.rfind('-');
  if (dash == std::string::npos || name.size() - dash - 1 != storage::kShortFingerprint)
    return std::nullopt;
  WorkFolder folder;
  folder.short_fingerprint = name.substr(dash + 1);
  if (folder.short_fingerprint.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return std::nullopt;
  }
  const auto kind = jobs::StageFromName(name.substr(0, dash));
  if (!kind.ok()) return std::nullopt;
  folder.kind = *kind;
  return folder;
}

void ReadWhatIsMade(Env& env, const std::string& artifact_dir, WorkFolder* folder) {
  const auto record = ReadWorkRecord(env, folder->path);
  const bool fits = record.ok() && record->identity.kind == folder->kind &&
                    record->identity.Fingerprint().starts_with(folder->short_fingerprint);
  if (fits) {
    folder->made = record->identity;
    folder->job_id = record->job_id;
    return;
  }
  folder->problem = absl::IsNotFound(record.status()) ? "an older Halcyon made it without a record"
                    : record.ok()                     ? "its record is of other work"
                                                      : MessageOf(record.status());
  if (!folder->finished) return;
  if (const auto artifact = storage::ReadArtifact(env, artifact_dir); artifact.ok()) {
    folder->made = jobs::StageIdentity{artifact->record.kind, artifact->record.fields};
    folder->job_id = artifact->record.job_id;
  }
}

}  // namespace

absl::StatusOr<std::vector<WorkFolder>> ScanWork(Env& env, const storage::HomeLayout& home) {
  std::vector<WorkFolder> folders;
  const std::string work = DirName(home.Work("any", "any"));
  const auto names = env.ListDir(work);
  if (absl::IsNotFound(names.status())) return folders;
  RETURN_IF_ERROR(names.status());
  for (const std::string& name : *names) {
    std::optional<WorkFolder> folder = FromName(name);
    if (!folder) continue;
    folder->path = JoinPath(work, name);
    const std::string artifact_dir =
        home.Artifact(std::string(jobs::StageName(folder->kind)), folder->short_fingerprint);
    folder->finished = env.Exists(JoinPath(artifact_dir, storage::kArtifactFileName));
    ReadWhatIsMade(env, artifact_dir, &*folder);
    ASSIGN_OR_RETURN(
        folder->steps,
        storage::CheckpointStore(env, cluster::CheckpointsDir(folder->path)).ListCommitted());
    folder->has_shards = env.Exists(JoinPath(folder->path, cluster::kBuildingFolder));
    folders.push_back(*std::move(folder));
  }
  return folders;
}

}  // namespace halcyon::coordinator
