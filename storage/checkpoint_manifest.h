// The manifest of a checkpoint as JSON, and the COMMIT file that holds its digest;
// docs/checkpoint_format.md lists the members.
#ifndef HALCYON_STORAGE_CHECKPOINT_MANIFEST_H_
#define HALCYON_STORAGE_CHECKPOINT_MANIFEST_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "storage/checkpoint.h"

namespace halcyon::storage {

inline constexpr uint64_t kCheckpointFormatVersion = 1;
inline constexpr char kManifestFile[] = "manifest.json";
inline constexpr char kCommitFile[] = "COMMIT";
inline constexpr char kLatestFile[] = "latest";

// The contents of COMMIT, as sha256sum prints them: `sha256sum -c COMMIT` checks a manifest by
// hand.
std::string CommitLine(std::string_view manifest_json);

// Equal manifests give equal bytes. kInvalidArgument when ManifestFromJson would refuse the result.
absl::StatusOr<std::string> ManifestToJson(const CheckpointManifest& manifest);

// kFailedPrecondition for another format version. kDataLoss, naming the member, for whatever is
// missing, mistyped or contradicts itself: shards that are not one a rank in rank order under their
// proper names, units or parameters named twice, parameters that overlap or leave their unit.
absl::StatusOr<CheckpointManifest> ManifestFromJson(std::string_view text);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_CHECKPOINT_MANIFEST_H_
