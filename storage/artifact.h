// A finished artifact on the disk: a folder with artifact.json, which says what the folder is, what
// it was made from, and the size and SHA-256 of its files, and ends with a SHA-256 of its own
// bytes. docs/artifact_format.md defines the bytes. Values and functions without state.
//
// Errors of everything that reads: kDataLoss: damaged, naming the file, what is recorded and what
// is found; kFailedPrecondition: artifact.json is of another format version; any other code:
// the file could not be read, so nothing is known about it (permission, too many open files, a
// failing disk).
#ifndef HALCYON_STORAGE_ARTIFACT_H_
#define HALCYON_STORAGE_ARTIFACT_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "jobs/stage_identity.h"
#include "jobs/stages.h"

namespace halcyon::storage {

inline constexpr uint64_t kArtifactVersion = 2;
inline constexpr char kArtifactFileName[] = "artifact.json";

// A file of an artifact, its name relative to the folder.
struct ArtifactFile {
  std::string name;
  uint64_t bytes = 0;
  std::string sha256;
  bool operator==(const ArtifactFile&) const = default;
};

// What a finished artifact is.
struct ArtifactRecord {
  jobs::StageKind kind{};
  std::string fingerprint;
  std::string content_digest;  // its identity downstream: SHA-256 of what it holds
  std::vector<jobs::FingerprintField> fields;
  std::string path;    // folder
  std::string job_id;  // that made it
  int64_t created_ms = 0;
  uint64_t bytes = 0;
};

struct Artifact {
  ArtifactRecord record;
  nlohmann::json facts =
      nlohmann::json::object();  // figures, for people but for pipeline/sources/file_shards.h's
  // Every file; of a cache its generation's manifest, which names the others with their checksums.
  std::vector<ArtifactFile> files;
};

// The published generation of a token or latent cache artifact.
std::string GenerationPath(const std::string& artifact_dir);
bool IsCache(jobs::StageKind kind);

// The content digests of what the artifact was made from, by stage name: its fields "input.STAGE".
std::map<std::string, std::string> InputDigestsOf(const ArtifactRecord& record);

// The text of artifact.json; equal artifacts give equal texts. The record's path is left out.
std::string ArtifactToText(const Artifact& artifact);
absl::StatusOr<Artifact> ArtifactFromText(std::string_view text);

// Names, sizes and digests of the files in `dir`, by name, for an artifact of this kind.
absl::StatusOr<std::vector<ArtifactFile>> DescribeFiles(Env& env, const std::string& dir,
                                                        jobs::StageKind kind);

// The identity of the weights among an artifact's files (weights/weights_index.h); nullopt where
// there are none.
std::optional<std::string> WeightsDigestOf(const std::vector<ArtifactFile>& files);

// Reads artifact.json of a folder. kNotFound: there is none.
absl::StatusOr<Artifact> ReadArtifact(Env& env, const std::string& dir);

// Compares a file's size with the recorded one, and with `bytes` its SHA-256, too.
absl::Status CheckFile(Env& env, const Artifact& artifact, const ArtifactFile& file, bool bytes);
// Whether every file exists with its size; a cache's manifest is compared byte by byte.
absl::Status CheckFiles(Env& env, const Artifact& artifact);
// Reads every byte and compares it with what was recorded.
absl::Status VerifyArtifact(Env& env, const Artifact& artifact);

// What to do about a damaged artifact: the end of an error message.
std::string RemedyFor(const ArtifactRecord& record);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_ARTIFACT_H_
