// The owner's side of finished artifacts: artifacts/KIND/FP16/ (storage/artifact.h has the format).
//
// An artifact is installed in steps, each of which may be the last before a crash:
//   1. artifact.json is written into the made folder, synced, when all else in it is;
//   2. the folder is renamed to its place, and the place's parent synced: this is the commit.
// What lies there is the registry: nothing else says which artifacts exist.
// So a folder with an artifact's name was finished once, and is never removed. One that cannot be
// read, is damaged or is of another version ends the run with an error that names it when the job
// needs it, and is left alone otherwise. Only a name that ends with ".tmp" is certainly unfinished.
#ifndef HALCYON_COORDINATOR_STAGES_ARTIFACT_STORE_H_
#define HALCYON_COORDINATOR_STAGES_ARTIFACT_STORE_H_

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/env.h"
#include "base/status.h"
#include "storage/artifact.h"
#include "storage/home.h"

namespace halcyon::coordinator {

using storage::Artifact;

// Not thread-safe. Owns nothing.
class ArtifactStore {
 public:
  ArtifactStore(Env& env, storage::HomeLayout home) : env_(env), home_(std::move(home)) {}

  // The artifact, its files there with their sizes; nullopt when its place is empty. kDataLoss: it
  // is damaged; kFailedPrecondition: the place holds something else, or the artifact cannot be
  // read.
  absl::StatusOr<std::optional<Artifact>> Find(jobs::StageKind kind,
                                               const std::string& fingerprint);
  // The same after reading every byte.
  absl::StatusOr<std::optional<Artifact>> FindVerified(jobs::StageKind kind,
                                                       const std::string& fingerprint);

  // Installs what lies synced in `made_dir`. `record.path` and the files are filled in. Where the
  // artifact has come meanwhile, that one is returned and `made_dir` removed: a job that was held
  // up may install after its claim was taken over. kInternal: weights read back give another digest
  // than the one recorded. REQUIRES: Find gave nullopt, and the stage's claim was held then.
  absl::StatusOr<Artifact> Install(Artifact artifact, const std::string& made_dir);

  // Gives the artifact's folder the name FP16.damaged-N beside its place; returns the new path.
  absl::StatusOr<std::string> SetAside(jobs::StageKind kind, const std::string& fingerprint);

  // Whether folders can be renamed from work/ to the places of these stages' artifacts.
  // kFailedPrecondition, naming both, when they are on different file systems.
  absl::Status CheckPlaces(const std::vector<jobs::StageKind>& kinds);

  // Records of all that can be read, newest first.
  absl::StatusOr<std::vector<storage::ArtifactRecord>> List();

  // Removes what is certainly unfinished and that no job is making. Returns what it did, and which
  // folders are no artifacts of their places, one line each.
  absl::StatusOr<std::vector<std::string>> Repair(Clock& clock);

 private:
  // Whether the folder at the place is the artifact that it should be; the journal gets its record.
  absl::StatusOr<Artifact> Take(jobs::StageKind kind, const std::string& fingerprint,
                                bool verify_bytes);
  absl::Status RemoveUnfinished(const std::string& path, Clock& clock,
                                std::vector<std::string>* notes);
  // Why the folder is no artifact of its place; OK when it is one.
  absl::Status CheckPlaceOf(const std::string& dir);

  Env& env_;
  storage::HomeLayout home_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_STAGES_ARTIFACT_STORE_H_
