// The remembered digests of source files, HOME/sources/, a file each. What is remembered only saves
// reading: a stage that reads a source's contents compares their digest with this one, and when
// they differ the next run reads the file anew. Any process may write; the last one counts.
#ifndef HALCYON_STORAGE_SOURCE_DIGESTS_H_
#define HALCYON_STORAGE_SOURCE_DIGESTS_H_

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/env.h"
#include "base/status.h"

namespace halcyon::storage {

// The identity and the digest of a source file when it was last read whole.
struct SourceRecord {
  std::string path;
  uint64_t size = 0;
  int64_t mtime_ns = 0;
  uint64_t inode = 0;
  std::string sha256;
  int64_t ctime_ns = 0;  // of the last change to contents or metadata; programs cannot set it
};

// Of a file as it is, without a digest. kNotFound.
absl::StatusOr<SourceRecord> LookAtSource(const std::string& path);
// Whether size, times and inode are the same.
bool IsSameFile(const SourceRecord& a, const SourceRecord& b);
// Reads a whole file and returns the SHA-256 of its bytes.
using SourceReader = std::function<absl::StatusOr<std::string>(const std::string& path)>;
// The record of a file that is read. kFailedPrecondition when it changes meanwhile.
absl::StatusOr<SourceRecord> ReadSource(const std::string& path, const SourceReader& read);

nlohmann::json SourceToJson(const SourceRecord& source);
// kDataLoss on anything that SourceToJson did not make.
absl::StatusOr<SourceRecord> SourceFromJson(const nlohmann::json& from);
std::string EncodeSource(const SourceRecord& source);
// kDataLoss on anything that EncodeSource did not write.
absl::StatusOr<SourceRecord> DecodeSource(std::string_view text);

// Thread-safe as `env` is. Owns nothing.
class SourceDigests {
 public:
  using Reader = SourceReader;

  SourceDigests(Env& env, std::string dir) : env_(env), dir_(std::move(dir)) {}

  // SHA-256 of a source file: as remembered when (path, size, mtime, ctime, inode) are as then,
  // else read whole and remembered.
  absl::StatusOr<std::string> Of(const std::string& path, const Reader& read = Sha256OfFile);
  // The same, but always reads the file. kFailedPrecondition when the file changes meanwhile.
  absl::StatusOr<std::string> ReadAnew(const std::string& path, const Reader& read = Sha256OfFile);

  absl::StatusOr<SourceRecord> Find(const std::string& path);  // kNotFound
  absl::Status Put(const SourceRecord& source);

 private:
  std::string PathOf(const std::string& source) const;
  Env& env_;
  std::string dir_;
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_SOURCE_DIGESTS_H_
