// The part of storage/artifact.h that reads an artifact's files.
#include <algorithm>
#include <filesystem>

#include "base/digest.h"
#include "storage/artifact.h"
#include "storage/cache_manifest.h"
#include "storage/page_cache.h"

namespace halcyon::storage {
namespace {

constexpr uint64_t kDigestPartBytes = 8 << 20;

absl::StatusOr<std::string> Sha256Of(Env& env, const std::string& path, uint64_t size) {
  Sha256 hash;
  for (uint64_t offset = 0; offset < size; offset += kDigestPartBytes) {
    ASSIGN_OR_RETURN(const std::string bytes,
                     env.ReadRange(path, offset, std::min(kDigestPartBytes, size - offset)));
    hash.Update(bytes);
  }
  return hash.HexDigest();
}

// Regular files below `dir`, relative to it, sorted; without artifact.json.
absl::StatusOr<std::vector<std::string>> FilesBelow(const std::string& dir) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::recursive_directory_iterator it(dir, error), end;
  for (; !error && it != end; it.increment(error)) {
    if (!it->is_regular_file(error)) continue;
    std::string name = it->path().lexically_relative(dir).string();
    if (name != kArtifactFileName) names.push_back(std::move(name));
  }
  if (error) return ErrnoStatus(error.value(), "cannot list " + dir);
  std::sort(names.begin(), names.end());
  return names;
}

std::string ManifestName() { return JoinPath(GenerationPath(""), kManifestName); }

absl::Status Damaged(const Artifact& artifact, const std::string& what) {
  return DataLoss(what + "; " + RemedyFor(artifact.record));
}

}  // namespace

absl::StatusOr<std::vector<ArtifactFile>> DescribeFiles(Env& env, const std::string& dir,
                                                        jobs::StageKind kind) {
  std::vector<std::string> names = {ManifestName()};
  if (!IsCache(kind)) {
    ASSIGN_OR_RETURN(names, FilesBelow(dir));
  }
  std::vector<ArtifactFile> files;
  for (const std::string& name : names) {
    ArtifactFile file{name, 0, ""};
    ASSIGN_OR_RETURN(file.bytes, env.FileSize(JoinPath(dir, name)));
    ASSIGN_OR_RETURN(file.sha256, Sha256Of(env, JoinPath(dir, name), file.bytes));
    files.push_back(std::move(file));
  }
  return files;
}

absl::Status CheckFile(Env& env, const Artifact& artifact, const ArtifactFile& file, bool bytes) {
  const std::string path = JoinPath(artifact.record.path, file.name);
  const absl::StatusOr<uint64_t> size = env.FileSize(path);
  if (absl::IsNotFound(size.status())) {
    return Damaged(artifact, path + ": is missing, artifact.json records " +
                                 std::to_string(file.bytes) + " bytes");
  }
  if (absl::IsInvalidArgument(size.status())) return Damaged(artifact, MessageOf(size.status()));
  RETURN_IF_ERROR(size.status());
  if (*size != file.bytes) {
    return Damaged(artifact, path + ": " + std::to_string(*size) +
                                 " bytes, artifact.json records " + std::to_string(file.bytes));
  }
  if (!bytes) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string sha256, Sha256Of(env, path, *size));
  if (sha256 == file.sha256) return absl::OkStatus();
  return Damaged(artifact, path + ": SHA-256 " + sha256 + ", artifact.json records " + file.sha256);
}

absl::Status CheckFiles(Env& env, const Artifact& artifact) {
  const bool is_cache = IsCache(artifact.record.kind);
  for (const ArtifactFile& file : artifact.files) {
    RETURN_IF_ERROR(CheckFile(env, artifact, file, /*bytes=*/is_cache));
  }
  if (!is_cache) return absl::OkStatus();
  const auto manifest = LoadManifest(GenerationPath(artifact.record.path));
  if (absl::IsDataLoss(manifest.status()) || absl::IsNotFound(manifest.status())) {
    return Damaged(artifact, MessageOf(manifest.status()));
  }
  RETURN_IF_ERROR(manifest.status());
  if (manifest->content_digest == artifact.record.content_digest) return absl::OkStatus();
  return Damaged(artifact, artifact.record.path + ": holds content digest " +
                               manifest->content_digest + ", artifact.json records " +
                               artifact.record.content_digest);
}

absl::Status VerifyArtifact(Env& env, const Artifact& artifact) {
  const ArtifactRecord& record = artifact.record;
  const jobs::StageIdentity identity{record.kind, record.fields};
  if (identity.Fingerprint() != record.fingerprint) {
    return Damaged(artifact, JoinPath(record.path, kArtifactFileName) +
                                 ": its fields do not give its fingerprint");
  }
  RETURN_IF_ERROR(CheckFiles(env, artifact));
  if (IsCache(record.kind)) {
    const std::string dir = GenerationPath(record.path);
    auto reader = CacheReader::Open(dir, record.fingerprint);
    absl::Status whole = reader.ok() ? (*reader)->Verify() : reader.status();
    return absl::IsDataLoss(whole) ? Damaged(artifact, MessageOf(whole)) : whole;
  }
  for (const ArtifactFile& file : artifact.files) {
    RETURN_IF_ERROR(CheckFile(env, artifact, file, /*bytes=*/true));
  }
  return absl::OkStatus();
}

}  // namespace halcyon::storage
