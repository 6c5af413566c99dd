#include "coordinator/artifact_store.h"

#include <algorithm>
#include <filesystem>

#include "base/digest.h"
#include "storage/page_cache.h"

namespace halcyon::coordinator {
namespace {

constexpr int kArtifactVersion = 1;
constexpr char kArtifactFileName[] = "artifact.json";

std::string ArtifactFilePath(const std::string& dir) { return JoinPath(dir, kArtifactFileName); }

std::string ToText(const Artifact& artifact) {
  nlohmann::json fields = nlohmann::json::array();
  for (const jobs::FingerprintField& field : artifact.record.fields) {
    fields.push_back({{"name", field.name}, {"value", field.value}});
  }
  nlohmann::json files = nlohmann::json::array();
  for (const ArtifactFile& file : artifact.files) {
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  }
  const storage::ArtifactRecord& record = artifact.record;
  const nlohmann::json json = {
      {"version", kArtifactVersion},       {"kind", jobs::StageName(record.kind)},
      {"fingerprint", record.fingerprint}, {"content_digest", record.content_digest},
      {"fields", std::move(fields)},       {"job_id", record.job_id},
      {"created_ms", record.created_ms},   {"bytes", record.bytes},
      {"files", std::move(files)},         {"facts", artifact.facts}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

absl::StatusOr<Artifact> FromText(const std::string& text) {
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    if (json.at("version").get<int>() != kArtifactVersion) {
      return DataLoss("version " + json.at("version").dump() + ", expected " +
                      std::to_string(kArtifactVersion));
    }
    Artifact artifact;
    ASSIGN_OR_RETURN(artifact.record.kind, jobs::StageFromName(json.at("kind").get<std::string>()));
    json.at("fingerprint").get_to(artifact.record.fingerprint);
    json.at("content_digest").get_to(artifact.record.content_digest);
    for (const nlohmann::json& field : json.at("fields")) {
      artifact.record.fields.push_back({field.at("name"), field.at("value")});
    }
    json.at("job_id").get_to(artifact.record.job_id);
    json.at("created_ms").get_to(artifact.record.created_ms);
    json.at("bytes").get_to(artifact.record.bytes);
    for (const nlohmann::json& file : json.at("files")) {
      artifact.files.push_back({file.at("name"), file.at("bytes"), file.at("sha256")});
    }
    artifact.facts = json.at("facts");
    return artifact;
  } catch (const nlohmann::json::exception& error) {
    return DataLoss(error.what());
  }
}

absl::StatusOr<std::vector<ArtifactFile>> DigestFiles(const std::string& dir) {
  std::vector<ArtifactFile> files;
  std::error_code error;
  std::filesystem::recursive_directory_iterator it(dir, error);
  if (error) return ErrnoStatus(error.value(), "cannot list " + dir);
  for (const auto& entry : it) {
    if (!entry.is_regular_file()) continue;
    ArtifactFile file;
    file.name = entry.path().lexically_relative(dir).string();
    if (file.name == kArtifactFileName) continue;
    file.bytes = entry.file_size();
    ASSIGN_OR_RETURN(file.sha256, Sha256OfFile(entry.path().string()));
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(),
            [](const ArtifactFile& a, const ArtifactFile& b) { return a.name < b.name; });
  return files;
}

absl::Status VerifyCache(const Artifact& artifact) {
  const std::string dir = GenerationPath(artifact.record.path);
  ASSIGN_OR_RETURN(auto reader, storage::CacheReader::Open(dir, artifact.record.fingerprint));
  if (reader->content_digest() != artifact.record.content_digest) {
    return DataLoss(dir + ": content digest " + reader->content_digest() + ", recorded " +
                    artifact.record.content_digest);
  }
  return reader->Verify();
}

// The folders artifacts/KIND/* that exist.
absl::StatusOr<std::vector<std::string>> ArtifactDirs(Env& env, const storage::HomeLayout& home) {
  std::vector<std::string> dirs;
  for (const jobs::StageKind kind : jobs::kAllStages) {
    const std::string parent = home.ArtifactsOf(std::string(jobs::StageName(kind)));
    if (!env.Exists(parent)) continue;
    ASSIGN_OR_RETURN(const std::vector<std::string> names, env.ListDir(parent));
    for (const std::string& name : names) dirs.push_back(JoinPath(parent, name));
  }
  return dirs;
}

}  // namespace

std::string GenerationPath(const std::string& artifact_dir) {
  return JoinPath(artifact_dir, "generation");
}

bool IsCache(jobs::StageKind kind) { return jobs::ShapeOf(kind) == jobs::StageShape::kShardTasks; }

absl::StatusOr<Artifact> ReadArtifact(Env& env, const std::string& dir) {
  const std::string path = ArtifactFilePath(dir);
  if (!env.Exists(path)) return NotFound("no artifact in " + dir);
  ASSIGN_OR_RETURN(const std::string text, env.ReadFile(path));
  ASSIGN_OR_RETURN(Artifact artifact, FromText(text), path);
  artifact.record.path = dir;
  return artifact;
}

absl::StatusOr<std::vector<Artifact>> ScanArtifacts(Env& env, const storage::HomeLayout& home,
                                                    std::vector<std::string>* damaged) {
  std::vector<Artifact> artifacts;
  ASSIGN_OR_RETURN(const std::vector<std::string> dirs, ArtifactDirs(env, home));
  for (const std::string& dir : dirs) {
    auto artifact = ReadArtifact(env, dir);
    if (artifact.ok()) {
      artifacts.push_back(*std::move(artifact));
    } else if (!absl::IsNotFound(artifact.status())) {
      damaged->push_back(MessageOf(artifact.status()));
    }
  }
  std::stable_sort(artifacts.begin(), artifacts.end(), [](const Artifact& a, const Artifact& b) {
    return a.record.created_ms > b.record.created_ms;
  });
  return artifacts;
}

absl::Status VerifyArtifact(Env& env, const Artifact& artifact) {
  const storage::ArtifactRecord& record = artifact.record;
  const jobs::StageIdentity identity{record.kind, record.fields};
  if (identity.Fingerprint() != record.fingerprint) {
    return DataLoss(ArtifactFilePath(record.path) + ": its fields do not give its fingerprint");
  }
  if (IsCache(record.kind)) return VerifyCache(artifact);
  for (const ArtifactFile& file : artifact.files) {
    const std::string path = JoinPath(record.path, file.name);
    ASSIGN_OR_RETURN(const uint64_t bytes, env.FileSize(path));
    if (bytes != file.bytes) {
      return DataLoss(path + ": " + std::to_string(bytes) + " bytes, recorded " +
                      std::to_string(file.bytes));
    }
    ASSIGN_OR_RETURN(const std::string sha256, Sha256OfFile(path));
    if (sha256 != file.sha256) return DataLoss(path + ": SHA-256 differs from what was recorded");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Artifact>> ArtifactStore::Find(jobs::StageKind kind,
                                                            const std::string& fingerprint) {
  const auto recorded = journal_.FindArtifact(kind, fingerprint);
  if (absl::IsNotFound(recorded.status())) return std::nullopt;
  RETURN_IF_ERROR(recorded.status());
  auto artifact =
      ReadArtifact(env_, home_.Artifact(std::string(jobs::StageName(kind)), fingerprint));
  if (!artifact.ok() || artifact->record.fingerprint != fingerprint ||
      artifact->record.content_digest != recorded->content_digest) {
    return std::nullopt;
  }
  return *std::move(artifact);
}

absl::StatusOr<Artifact> ArtifactStore::Install(Artifact artifact, const std::string& made_dir) {
  const std::string kind(jobs::StageName(artifact.record.kind));
  artifact.record.path = home_.Artifact(kind, artifact.record.fingerprint);
  if (!IsCache(artifact.record.kind)) {
    ASSIGN_OR_RETURN(artifact.files, DigestFiles(made_dir));
  }
  const std::string parent = home_.ArtifactsOf(kind);
  RETURN_IF_ERROR(env_.CreateDirs(parent));
  RETURN_IF_ERROR(env_.RemoveTree(artifact.record.path));
  RETURN_IF_ERROR(env_.Rename(made_dir, artifact.record.path));
  RETURN_IF_ERROR(env_.SyncDir(parent));
  RETURN_IF_ERROR(env_.SyncDir(DirName(parent)));
  RETURN_IF_ERROR(
      WriteFileAtomically(env_, ArtifactFilePath(artifact.record.path), ToText(artifact)));
  RETURN_IF_ERROR(journal_.PutArtifact(artifact.record));
  return artifact;
}

absl::StatusOr<std::vector<std::string>> ArtifactStore::Repair() {
  std::vector<std::string> said;
  ASSIGN_OR_RETURN(const std::vector<std::string> dirs, ArtifactDirs(env_, home_));
  for (const std::string& dir : dirs) RETURN_IF_ERROR(RepairOne(dir, &said));
  return said;
}

absl::Status ArtifactStore::RepairOne(const std::string& dir, std::vector<std::string>* said) {
  const auto artifact = ReadArtifact(env_, dir);
  const bool in_place =
      artifact.ok() && dir == home_.Artifact(std::string(jobs::StageName(artifact->record.kind)),
                                             artifact->record.fingerprint);
  if (!in_place) {
    said->push_back("removed " + dir + ": it was not finished");
    return env_.RemoveTree(dir);
  }
  const storage::ArtifactRecord& record = artifact->record;
  const auto recorded = journal_.FindArtifact(record.kind, record.fingerprint);
  if (recorded.ok() && recorded->content_digest == record.content_digest) return absl::OkStatus();
  if (!recorded.ok() && !absl::IsNotFound(recorded.status())) return recorded.status();
  if (const absl::Status whole = VerifyArtifact(env_, *artifact); !whole.ok()) {
    said->push_back("removed " + dir + ": " + MessageOf(whole));
    return env_.RemoveTree(dir);
  }
  said->push_back("took over " + dir + ": finished, but not yet recorded");
  return journal_.PutArtifact(record);
}

}  // namespace halcyon::coordinator
