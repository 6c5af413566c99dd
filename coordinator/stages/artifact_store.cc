#include "coordinator/stages/artifact_store.h"

#include <unistd.h>

#include "base/process_identity.h"
#include "storage/artifact_scan.h"
#include "storage/lease.h"

namespace halcyon::coordinator {
namespace {

constexpr char kProbePrefix[] = ".rename-probe-";
constexpr char kDamagedSuffix[] = ".damaged-";

std::string PlaceOf(const storage::HomeLayout& home, jobs::StageKind kind,
                    const std::string& fingerprint) {
  return home.Artifact(std::string(jobs::StageName(kind)), fingerprint);
}

// Neither another try nor a change of the job file helps.
absl::Status Unreadable(const absl::Status& status) {
  if (status.ok() || absl::IsDataLoss(status) || absl::IsResourceExhausted(status)) return status;
  return FailedPrecondition(MessageOf(status));
}

}  // namespace

absl::StatusOr<std::optional<Artifact>> ArtifactStore::Find(jobs::StageKind kind,
                                                            const std::string& fingerprint) {
  if (!env_.Exists(PlaceOf(home_, kind, fingerprint))) return std::nullopt;
  auto artifact = Take(kind, fingerprint, /*verify_bytes=*/false);
  RETURN_IF_ERROR(Unreadable(artifact.status()));
  return *std::move(artifact);
}

absl::StatusOr<std::optional<Artifact>> ArtifactStore::FindVerified(
    jobs::StageKind kind, const std::string& fingerprint) {
  if (!env_.Exists(PlaceOf(home_, kind, fingerprint))) return std::nullopt;
  auto artifact = Take(kind, fingerprint, /*verify_bytes=*/true);
  RETURN_IF_ERROR(Unreadable(artifact.status()));
  return *std::move(artifact);
}

absl::StatusOr<Artifact> ArtifactStore::Take(jobs::StageKind kind, const std::string& fingerprint,
                                             bool verify_bytes) {
  const std::string dir = PlaceOf(home_, kind, fingerprint);
  auto artifact = storage::ReadArtifact(env_, dir);
  if (absl::IsNotFound(artifact.status())) {
    return FailedPrecondition(dir +
                              ": has no artifact.json, so it is no artifact of this stage or "
                              "has lost it; move the folder away to have it made again");
  }
  RETURN_IF_ERROR(artifact.status());
  const storage::ArtifactRecord& record = artifact->record;
  if (record.kind != kind || record.fingerprint != fingerprint) {
    return FailedPrecondition(dir + ": is the artifact of the " +
                              std::string(jobs::StageName(record.kind)) +
                              " stage with fingerprint " + record.fingerprint + ", expected " +
                              fingerprint + "; move the folder away to have it made again");
  }
  RETURN_IF_ERROR(verify_bytes ? storage::VerifyArtifact(env_, *artifact)
                               : storage::CheckFiles(env_, *artifact));
  return artifact;
}

absl::StatusOr<Artifact> ArtifactStore::Install(Artifact artifact, const std::string& made_dir) {
  const std::string kind(jobs::StageName(artifact.record.kind));
  artifact.record.path = home_.Artifact(kind, artifact.record.fingerprint);
  ASSIGN_OR_RETURN(artifact.files, storage::DescribeFiles(env_, made_dir, artifact.record.kind));
  const auto digest = storage::WeightsDigestOf(artifact.files);
  if (digest && *digest != artifact.record.content_digest) {
    return Internal(made_dir + ": the weights' digest is " + *digest +
                    ", the ranks that wrote them counted " + artifact.record.content_digest);
  }
  RETURN_IF_ERROR(WriteFileAtomically(env_, JoinPath(made_dir, storage::kArtifactFileName),
                                      storage::ArtifactToText(artifact)));
  const std::string parent = home_.ArtifactsOf(kind);
  RETURN_IF_ERROR(env_.CreateDirs(parent));
  if (const absl::Status renamed = env_.Rename(made_dir, artifact.record.path); !renamed.ok()) {
    const auto there = Find(artifact.record.kind, artifact.record.fingerprint);
    if (!there.ok() || !*there) return renamed;
    RETURN_IF_ERROR(env_.RemoveTree(made_dir));
    return **there;
  }
  RETURN_IF_ERROR(env_.SyncDir(parent));
  RETURN_IF_ERROR(env_.SyncDir(DirName(parent)));
  return artifact;
}

absl::StatusOr<std::string> ArtifactStore::SetAside(jobs::StageKind kind,
                                                    const std::string& fingerprint) {
  const std::string place = PlaceOf(home_, kind, fingerprint);
  for (int number = 1;; ++number) {
    std::string aside = place + kDamagedSuffix + std::to_string(number);
    if (env_.Exists(aside)) continue;
    RETURN_IF_ERROR(env_.Rename(place, aside));
    RETURN_IF_ERROR(env_.SyncDir(DirName(place)));
    return aside;
  }
}

absl::Status ArtifactStore::CheckPlaces(const std::vector<jobs::StageKind>& kinds) {
  const std::string work = DirName(home_.Work("any", "any"));
  for (const jobs::StageKind kind : kinds) {
    const std::string parent = home_.ArtifactsOf(std::string(jobs::StageName(kind)));
    // Jobs check at the same time: each under a name of its own.
    const std::string name = kProbePrefix + std::to_string(getpid()) + "-" + HostName();
    const std::string probe = JoinPath(work, name);
    RETURN_IF_ERROR(Unreadable(env_.CreateDirs(parent)));
    RETURN_IF_ERROR(env_.CreateDirs(probe));
    const absl::Status renamed = env_.Rename(probe, JoinPath(parent, name));
    RETURN_IF_ERROR(env_.RemoveTree(renamed.ok() ? JoinPath(parent, name) : probe));
    if (renamed.ok()) continue;
    return FailedPrecondition(
        MessageOf(renamed) + ": a stage is made in " + work + " and then renamed to " + parent +
        ", so both must lie on one file system; put the whole state folder on one");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<storage::ArtifactRecord>> ArtifactStore::List() {
  ASSIGN_OR_RETURN(const storage::ArtifactScan scan, storage::ScanArtifacts(env_, home_));
  return storage::RecordsOf(scan);
}

absl::StatusOr<std::vector<std::string>> ArtifactStore::Repair(Clock& clock) {
  std::vector<std::string> notes;
  ASSIGN_OR_RETURN(const std::vector<std::string> entries, storage::ArtifactEntries(env_, home_));
  for (const std::string& path : entries) {
    const std::string name = BaseName(path);
    switch (storage::EntryOf(name)) {
      case storage::ArtifactEntry::kUnfinished:
        RETURN_IF_ERROR(RemoveUnfinished(path, clock, &notes));
        break;
      case storage::ArtifactEntry::kArtifact:
        if (const absl::Status status = CheckPlaceOf(path); !status.ok()) {
          notes.push_back("left alone " + path + ": " + MessageOf(status));
        }
        break;
      case storage::ArtifactEntry::kForeign:
        if (name.find(kDamagedSuffix) != std::string::npos || name.starts_with(kProbePrefix)) break;
        notes.push_back("left alone " + path + ": it is no artifact");
    }
  }
  return notes;
}

absl::Status ArtifactStore::RemoveUnfinished(const std::string& path, Clock& clock,
                                             std::vector<std::string>* notes) {
  const std::string kind = BaseName(DirName(path));
  storage::LeaseSeeker seeker(env_, clock, home_.Claim(kind, BaseName(path)),
                              storage::ThisProcess("removal of unfinished artifacts"));
  ASSIGN_OR_RETURN(const auto claim, seeker.TryTake());
  if (claim == nullptr) return absl::OkStatus();  // another job is publishing it
  notes->push_back("removed " + path + ": it was not finished");
  return env_.RemoveTree(path);
}

absl::Status ArtifactStore::CheckPlaceOf(const std::string& dir) {
  ASSIGN_OR_RETURN(const Artifact artifact, storage::ReadArtifact(env_, dir));
  const storage::ArtifactRecord& record = artifact.record;
  if (dir == PlaceOf(home_, record.kind, record.fingerprint)) return absl::OkStatus();
  return FailedPrecondition("it is the artifact of the " +
                            std::string(jobs::StageName(record.kind)) + " stage with fingerprint " +
                            record.fingerprint);
}

}  // namespace halcyon::coordinator
