// manifest.json of a published cache generation: what it is, and the size and checksum of each of
// its files. Written last, before the generation's folder gets its name.
#ifndef HALCYON_STORAGE_CACHE_MANIFEST_H_
#define HALCYON_STORAGE_CACHE_MANIFEST_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace halcyon::storage {

inline constexpr char kManifestName[] = "manifest.json";

struct CacheManifest {
  struct File {
    std::string name;  // within the folder
    uint64_t bytes = 0;
    std::string crc32c;  // 8 hexadecimal digits
  };
  std::string dataset;
  std::string content_digest;
  uint32_t shards = 0;
  std::vector<File> files;  // by name
};

std::string EncodeManifest(const CacheManifest& manifest);
// kDataLoss, or kFailedPrecondition for a newer format. Refuses names that leave the folder.
absl::StatusOr<CacheManifest> DecodeManifest(std::string_view text);

// Reads `dir`'s manifest and checks that each file is there and has its size. kNotFound when there
// is no such folder; kDataLoss names the file otherwise.
absl::StatusOr<CacheManifest> LoadManifest(const std::string& dir);
// Reads every file and compares its checksum.
absl::Status VerifyFiles(const std::string& dir, const CacheManifest& manifest);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_CACHE_MANIFEST_H_
