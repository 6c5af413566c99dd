// The owner's side of finished artifacts: artifacts/KIND/FP16/ (storage/artifact.h has the format).
//
// An artifact is installed in steps, each of which may be the last before a crash:
//   1. artifact.json is written into the made folder, synced, when all else in it is;
//   2. the folder is renamed to its place, and the place's parent synced: this is the commit;
//   3. the journal gets its record.
// So a folder with an artifact's name was finished once, and is never removed. One that cannot be
// read, is damaged or is of another version ends the run with an error that names it when the job
// needs it, and is left alone otherwise. Only a name that ends with ".tmp" is certainly unfinished.
#ifndef HALCYON_COORDINATOR_ARTIFACT_STORE_H_
#define HALCYON_COORDINATOR_ARTIFACT_STORE_H_

#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "storage/artifact.h"
#include "storage/home.h"
#include "storage/journal.h"

namespace halcyon::coordinator {

using storage::Artifact;

// Not thread-safe. Owns nothing.
class ArtifactStore {
 public:
  ArtifactStore(Env& env, storage::Journal& journal, storage::HomeLayout home)
      : env_(env), journal_(journal), home_(std::move(home)) {}

  // The artifact, its files there with their sizes; nullopt when its place is empty. One that the
  // journal lacks is verified and recorded. kDataLoss: it is damaged; kFailedPrecondition: the
  // place holds something else, or the artifact cannot be read.
  absl::StatusOr<std::optional<Artifact>> Find(jobs::StageKind kind,
                                               const std::string& fingerprint);
  // The same after reading every byte.
  absl::StatusOr<std::optional<Artifact>> FindVerified(jobs::StageKind kind,
                                                       const std::string& fingerprint);

  // Installs what lies synced in `made_dir`. `record.path` and the files are filled in. kInternal:
  // weights read back give another digest than the one recorded. REQUIRES: Find gave nullopt.
  absl::StatusOr<Artifact> Install(Artifact artifact, const std::string& made_dir);

  // Gives the artifact's folder the name FP16.damaged-N beside its place; returns the new path.
  absl::StatusOr<std::string> SetAside(jobs::StageKind kind, const std::string& fingerprint);

  // Whether folders can be renamed from work/ to the places of these stages' artifacts.
  // kFailedPrecondition, naming both, when they are on different file systems.
  absl::Status CheckPlaces(const std::vector<jobs::StageKind>& kinds);

  // After a crash: removes what is certainly unfinished, and records what the journal lacks, after
  // reading every byte of it. Returns what it did and what it left alone, one line each.
  absl::StatusOr<std::vector<std::string>> Repair();

 private:
  // Whether the folder at the place is the artifact that it should be; the journal gets its record.
  absl::StatusOr<Artifact> Take(jobs::StageKind kind, const std::string& fingerprint,
                                bool verify_bytes);
  absl::StatusOr<bool> IsRecorded(const Artifact& artifact);
  absl::Status Adopt(const std::string& dir, std::vector<std::string>* notes);

  Env& env_;
  storage::Journal& journal_;
  storage::HomeLayout home_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_ARTIFACT_STORE_H_
