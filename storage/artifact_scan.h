// Lists a state folder's artifacts, and which of them were made from which.
#ifndef HALCYON_STORAGE_ARTIFACT_SCAN_H_
#define HALCYON_STORAGE_ARTIFACT_SCAN_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "storage/artifact.h"
#include "storage/home.h"

namespace halcyon::storage {

// An entry of artifacts/KIND/, by what its name says.
enum class ArtifactEntry {
  kArtifact,    // 16 digits of a fingerprint: an artifact's place
  kUnfinished,  // such a name and ".tmp": a cache that was being published
  kForeign,     // any other name; not made by Halcyon
};
ArtifactEntry EntryOf(const std::string& name);

// Paths of the entries of artifacts/KIND/ of all kinds, in the order of the stages.
absl::StatusOr<std::vector<std::string>> ArtifactEntries(Env& env, const HomeLayout& home);

// An artifact that could not be read.
struct UnreadArtifact {
  std::string path;
  absl::Status status;         // why, as in storage/artifact.h
  std::string content_digest;  // from a damaged artifact.json; "" when it is not found there
};

struct ArtifactScan {
  std::vector<Artifact> artifacts;  // newest first
  std::vector<UnreadArtifact> unread;

  // The newest artifact with this content; nullptr when there is none.
  const Artifact* Find(const std::string& stage, const std::string& content_digest) const;
};

// The records of a scan's artifacts, newest first.
std::vector<ArtifactRecord> RecordsOf(const ArtifactScan& scan);

// Reads every artifact.json in the state folder. Foreign and unfinished entries are left out.
absl::StatusOr<ArtifactScan> ScanArtifacts(Env& env, const HomeLayout& home);

// For each artifact (by path) that was made, directly or through others, from one of the contents
// in `digests`: those it was made from. An artifact that itself has one of the contents does not
// count as made from itself.
std::map<std::string, std::set<std::string>> MadeFrom(const std::vector<Artifact>& artifacts,
                                                      const std::set<std::string>& digests);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_ARTIFACT_SCAN_H_
