// Opens an artifact's folder; all programs read artifacts through it. artifact.json is checked when
// the folder is opened, and each file is compared with it before its bytes are used. Nothing is
// remembered from one opening to the next, because stored bytes can change without a new time
// stamp.
//
// A folder without artifact.json (weights from another program) is read without these comparisons:
// only the checks of its files' own formats apply.
//
// Errors: as in storage/artifact.h. With an expected digest the folder is one that the coordinator
// has named, so that neither another try nor a change of the job file helps: all errors but
// kResourceExhausted are kFailedPrecondition.
#ifndef HALCYON_STORAGE_ARTIFACT_READER_H_
#define HALCYON_STORAGE_ARTIFACT_READER_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "storage/artifact.h"
#include "storage/copies/host_copy.h"
#include "storage/page_cache.h"

namespace halcyon::storage {

// Not thread-safe. Borrows `env`.
class ArtifactReader {
 public:
  // `expected_digest`: the content digest that the artifact must have; "": any.
  static absl::StatusOr<ArtifactReader> Open(Env& env, const std::string& dir,
                                             const std::string& expected_digest = "");

  // nullopt for a folder without artifact.json.
  const std::optional<Artifact>& artifact() const { return artifact_; }

  // The path of a file whose bytes have just been found to be those recorded.
  absl::StatusOr<std::string> Verified(const std::string& name);
  // The folder of a cache's generation, whose manifest has just been compared with artifact.json.
  absl::StatusOr<std::string> Generation();
  // From here on OpenCache reads this copy of it; nullptr: none.
  void ReadFrom(std::shared_ptr<const HostCopy> copy) { copy_ = std::move(copy); }
  // The generation of a cache. Its manifest is compared with artifact.json, its pages with their
  // checksums as they are read.
  absl::StatusOr<std::unique_ptr<CacheReader>> OpenCache();

 private:
  ArtifactReader(Env& env, std::string dir, bool is_expected)
      : env_(&env), dir_(std::move(dir)), is_expected_(is_expected) {}
  absl::Status Load(const std::string& expected_digest);
  absl::StatusOr<std::string> Check(const std::string& name);
  absl::StatusOr<std::string> CheckCache();
  absl::Status Error(const absl::Status& status) const;

  Env* env_;
  std::string dir_;
  bool is_expected_;
  std::optional<Artifact> artifact_;
  std::shared_ptr<const HostCopy> copy_;
};

// For a file that may be part of an artifact, such as a tokenizer.json that a user names: compares
// it with the artifact.json beside it, if there is one that records it.
absl::Status VerifyBesideRecord(Env& env, const std::string& path);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_ARTIFACT_READER_H_
