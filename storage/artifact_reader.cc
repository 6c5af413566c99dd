#include "storage/artifact_reader.h"

#include <algorithm>

#include "storage/copies/copied_reader.h"

namespace halcyon::storage {

absl::StatusOr<ArtifactReader> ArtifactReader::Open(Env& env, const std::string& dir,
                                                    const std::string& expected_digest) {
  ArtifactReader reader(env, dir, !expected_digest.empty());
  RETURN_IF_ERROR(reader.Error(reader.Load(expected_digest)));
  return reader;
}

absl::Status ArtifactReader::Error(const absl::Status& status) const {
  if (status.ok() || !is_expected_ || absl::IsResourceExhausted(status)) return status;
  return FailedPrecondition(MessageOf(status));
}

absl::Status ArtifactReader::Load(const std::string& expected_digest) {
  auto artifact = ReadArtifact(*env_, dir_);
  if (absl::IsNotFound(artifact.status())) {
    if (!is_expected_) return absl::OkStatus();
    return DataLoss(JoinPath(dir_, kArtifactFileName) + ": is missing");
  }
  RETURN_IF_ERROR(artifact.status());
  const std::string& found = artifact->record.content_digest;
  if (is_expected_ && found != expected_digest) {
    return DataLoss(dir_ + ": is the artifact with content digest " + found + ", expected " +
                    expected_digest);
  }
  artifact_ = *std::move(artifact);
  return absl::OkStatus();
}

absl::StatusOr<std::string> ArtifactReader::Verified(const std::string& name) {
  auto path = Check(name);
  if (!path.ok()) return Error(path.status());
  return path;
}

absl::StatusOr<std::string> ArtifactReader::Check(const std::string& name) {
  std::string path = JoinPath(dir_, name);
  if (!artifact_) return path;
  const auto file = std::find_if(artifact_->files.begin(), artifact_->files.end(),
                                 [&](const ArtifactFile& entry) { return entry.name == name; });
  if (file == artifact_->files.end()) {
    return NotFound(dir_ + ": artifact.json records no " + name + ": it is an artifact of the " +
                    std::string(jobs::StageName(artifact_->record.kind)) + " stage");
  }
  RETURN_IF_ERROR(CheckFile(*env_, *artifact_, *file, /*bytes=*/true));
  return path;
}

absl::StatusOr<std::string> ArtifactReader::Generation() {
  auto generation = CheckCache();
  if (!generation.ok()) return Error(generation.status());
  return generation;
}

absl::StatusOr<std::unique_ptr<CacheReader>> ArtifactReader::OpenCache() {
  ASSIGN_OR_RETURN(const std::string generation, Generation());
  const std::string dataset = artifact_ ? artifact_->record.fingerprint : "";
  auto reader = copy_ == nullptr ? CacheReader::Open(generation, dataset)
                                 : OpenCopied(copy_, generation, dataset);
  if (!reader.ok()) return Error(reader.status());
  return reader;
}

absl::StatusOr<std::string> ArtifactReader::CheckCache() {
  if (!artifact_) return GenerationPath(dir_);
  if (!IsCache(artifact_->record.kind)) {
    return InvalidArgument(dir_ + ": is an artifact of the " +
                           std::string(jobs::StageName(artifact_->record.kind)) +
                           " stage, expected tokens or latents");
  }
  RETURN_IF_ERROR(CheckFiles(*env_, *artifact_));
  return GenerationPath(dir_);
}

absl::Status VerifyBesideRecord(Env& env, const std::string& path) {
  const auto artifact = ReadArtifact(env, DirName(path));
  if (absl::IsNotFound(artifact.status())) return absl::OkStatus();
  RETURN_IF_ERROR(artifact.status());
  const std::string name = BaseName(path);
  for (const ArtifactFile& file : artifact->files) {
    if (file.name == name) return CheckFile(env, *artifact, file, /*bytes=*/true);
  }
  return absl::OkStatus();
}

}  // namespace halcyon::storage
