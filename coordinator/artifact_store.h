// Finished artifacts: artifacts/KIND/FP16/ with artifact.json, which is written last.
//
// An artifact is installed in steps, each of which may be the last before a crash:
//   1. the made folder, synced by its maker, is renamed to its place;
//   2. artifact.json is written into it, synced;
//   3. the journal gets its record.
// Repair() at the next start takes a folder without artifact.json away (its stage is made again
// from what it has committed) and adopts one with artifact.json that the journal lacks, after a
// check.
#ifndef HALCYON_COORDINATOR_ARTIFACT_STORE_H_
#define HALCYON_COORDINATOR_ARTIFACT_STORE_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "storage/home.h"
#include "storage/journal.h"

namespace halcyon::coordinator {

// A file of an artifact, relative to its folder.
struct ArtifactFile {
  std::string name;
  uint64_t bytes = 0;
  std::string sha256;
};

struct Artifact {
  storage::ArtifactRecord record;
  nlohmann::json facts = nlohmann::json::object();  // figures for people: docs of each stage
  std::vector<ArtifactFile> files;  // not of caches: a published generation has its own manifest
};

// The published generation of a token or latent cache artifact.
std::string GenerationPath(const std::string& artifact_dir);
bool IsCache(jobs::StageKind kind);

// Reads artifact.json of a folder. kNotFound: none there; kDataLoss: not readable as one.
absl::StatusOr<Artifact> ReadArtifact(Env& env, const std::string& dir);

// Every artifact on the disk, the newest first; damaged ones are left out and named in `damaged`.
absl::StatusOr<std::vector<Artifact>> ScanArtifacts(Env& env, const storage::HomeLayout& home,
                                                    std::vector<std::string>* damaged);

// Reads every byte and compares with what was recorded. kDataLoss names the file.
absl::Status VerifyArtifact(Env& env, const Artifact& artifact);

// The owner's side. Not thread-safe. Owns nothing.
class ArtifactStore {
 public:
  ArtifactStore(Env& env, storage::Journal& journal, storage::HomeLayout home)
      : env_(env), journal_(journal), home_(std::move(home)) {}

  // In the journal and on the disk, both alike; else nullopt.
  absl::StatusOr<std::optional<Artifact>> Find(jobs::StageKind kind,
                                               const std::string& fingerprint);

  // Installs what lies synced in `made_dir`. `record.path` and the files are filled in.
  absl::StatusOr<Artifact> Install(Artifact artifact, const std::string& made_dir);

  // After a crash: see above. Says what it did, one line each.
  absl::StatusOr<std::vector<std::string>> Repair();

 private:
  absl::Status RepairOne(const std::string& dir, std::vector<std::string>* said);

  Env& env_;
  storage::Journal& journal_;
  storage::HomeLayout home_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_ARTIFACT_STORE_H_
