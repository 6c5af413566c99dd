#include "coordinator/audit/stage_record.h"

#include <algorithm>
#include <utility>

#include "cluster/outputs.h"
#include "storage/artifact_reader.h"

namespace halcyon::coordinator {
namespace {

// Of an artifact of trained weights (docs/artifact_format.md).
constexpr char kSpecFileName[] = "job.toml";
// The newest checkpoint may be removed between looking and reading, for a newer one.
constexpr int kCheckpointReadsMax = 5;

std::string MadeByEarlierVersion(const std::string& where) {
  return where + ": was made by an earlier version of Halcyon, which recorded no samples";
}

absl::StatusOr<jobs::JobSpec> ParseSpec(const std::string& toml, const std::string& where) {
  return jobs::ParseJobSpec(toml, where, DirName(where), /*check_files=*/false);
}

absl::StatusOr<StageRecord> OfArtifact(Env& env, const std::string& dir, jobs::StageKind kind) {
  ASSIGN_OR_RETURN(auto reader, storage::ArtifactReader::Open(env, dir));
  if (!reader.artifact()) return DataLoss(dir + ": has no artifact.json");
  const storage::Artifact& artifact = *reader.artifact();
  StageRecord record{.kind = kind, .finished = true};
  const bool has_log = std::ranges::any_of(artifact.files, [](const storage::ArtifactFile& file) {
    return file.name == storage::kSampleLogFile;
  });
  if (!has_log) {
    record.missing = artifact.record.job_id.empty() ? dir + ": was imported, not trained here"
                                                    : MadeByEarlierVersion(dir);
    return record;
  }
  record.inputs = storage::InputDigestsOf(artifact.record);
  ASSIGN_OR_RETURN(const std::string spec_path, reader.Verified(kSpecFileName));
  ASSIGN_OR_RETURN(const std::string toml, env.ReadFile(spec_path));
  ASSIGN_OR_RETURN(record.spec, ParseSpec(toml, spec_path));
  ASSIGN_OR_RETURN(const std::string log_path, reader.Verified(storage::kSampleLogFile));
  ASSIGN_OR_RETURN(const std::string log, env.ReadFile(log_path));
  RETURN_IF_ERROR(storage::ParseSampleLog(log, log_path, &record.history));
  if (!record.history.launches.empty()) record.writer = record.history.launches.back().writer;
  record.steps = static_cast<uint64_t>(TrainSpecOf(kind, record.spec).steps);
  return record;
}

absl::StatusOr<storage::CheckpointManifest> NewestCheckpoint(storage::CheckpointStore& store) {
  absl::Status gone;
  for (int i = 0; i < kCheckpointReadsMax; ++i) {
    ASSIGN_OR_RETURN(const std::vector<uint64_t> steps, store.ListCommitted());
    if (steps.empty()) return NotFound(store.root() + ": no checkpoint is committed yet");
    const auto folder = store.FindCommitted(steps.back());
    auto manifest = folder.ok() ? store.LoadFolder(*folder, /*verify_shards=*/false)
                                : absl::StatusOr<storage::CheckpointManifest>(folder.status());
    if (manifest.ok()) return manifest;
    gone = manifest.status();
  }
  return Annotate(gone, store.root());
}

absl::StatusOr<StageRecord> OfCheckpoints(Env& env, const std::string& work_dir,
                                          jobs::StageKind kind) {
  storage::CheckpointStore store(env, cluster::CheckpointsDir(work_dir));
  ASSIGN_OR_RETURN(storage::CheckpointManifest manifest, NewestCheckpoint(store));
  StageRecord record{.kind = kind};
  record.steps = manifest.step;
  record.inputs = std::move(manifest.inputs);
  record.writer = storage::WriterOfCheckpoint(manifest.folder);
  const std::string where = JoinPath(store.root(), manifest.folder);
  ASSIGN_OR_RETURN(record.spec, ParseSpec(manifest.spec_toml, where));
  record.log_format = manifest.sample_log_format;
  auto history = storage::ReadSampleLogs(env, store.root());
  // A record that there was once is missed by the audit.
  if (absl::IsNotFound(history.status()) && record.log_format > 0) return record;
  if (absl::IsNotFound(history.status())) {
    record.missing = MadeByEarlierVersion(where);
    return record;
  }
  RETURN_IF_ERROR(history.status());
  record.history = *std::move(history);
  return record;
}

}  // namespace

absl::StatusOr<StageRecord> ReadStageRecord(Env& env, const storage::HomeLayout& home,
                                            const StageStatus& stage) {
  const std::string kind(jobs::StageName(stage.kind));
  if (stage.fingerprint.empty()) return NotFound(kind + ": has not begun");
  const std::string artifact = home.Artifact(kind, stage.fingerprint);
  if (env.Exists(artifact)) return OfArtifact(env, artifact, stage.kind);
  return OfCheckpoints(env, home.Work(kind, stage.fingerprint), stage.kind);
}

}  // namespace halcyon::coordinator
