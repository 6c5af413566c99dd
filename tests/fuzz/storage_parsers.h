// What the parsers of storage/ guarantee for all bytes: an error or a result whose parts fit
// each other. The fuzzers and the mutation test of every build share these; a broken promise
// aborts.
#ifndef HALCYON_TESTS_FUZZ_STORAGE_PARSERS_H_
#define HALCYON_TESTS_FUZZ_STORAGE_PARSERS_H_

#include <string_view>

#include "base/check.h"
#include "storage/checkpoint_manifest.h"
#include "storage/weights/safetensors.h"
#include "storage/weights/weights_index.h"

namespace halcyon::storage {

// True when accepted.
inline bool CheckSafetensorsParser(std::string_view file) {
  const auto header = ParseSafetensorsHeader(file, file.size());
  if (!header.ok()) {
    HALCYON_CHECK(header.status().code() == absl::StatusCode::kDataLoss);
    return false;
  }
  HALCYON_CHECK(header->file_bytes == file.size());
  uint64_t data_bytes = 0;
  for (const auto& [name, entry] : header->tensors) {
    HALCYON_CHECK(entry.offset >= 8 && entry.offset <= file.size());
    HALCYON_CHECK(entry.bytes <= file.size() - entry.offset);
    unsigned __int128 expected = SizeOf(entry.dtype);
    for (const int64_t extent : entry.shape) {
      HALCYON_CHECK(extent >= 0);
      expected *= static_cast<uint64_t>(extent);
      if (expected == 0) break;
    }
    HALCYON_CHECK(expected == entry.bytes);
    data_bytes += entry.bytes;
  }
  HALCYON_CHECK(data_bytes <= file.size() - 8);
  return true;
}

// True when accepted; then writing it again and reading that back changes nothing.
inline bool CheckManifestParser(std::string_view text) {
  const auto manifest = ManifestFromJson(text);
  if (!manifest.ok()) {
    // kFailedPrecondition: the format version is another.
    HALCYON_CHECK(manifest.status().code() == absl::StatusCode::kDataLoss ||
                  manifest.status().code() == absl::StatusCode::kFailedPrecondition);
    return false;
  }
  HALCYON_CHECK(manifest->shards.size() == manifest->world_size);
  const auto json = ManifestToJson(*manifest);
  HALCYON_CHECK(json.ok());
  const auto again = ManifestFromJson(*json);
  HALCYON_CHECK(again.ok() && *ManifestToJson(*again) == *json);
  return true;
}

// True when accepted; then every file is a plain name.
inline bool CheckWeightsIndexParser(std::string_view text) {
  const auto index = ParseWeightsIndex(text);
  if (!index.ok()) {
    HALCYON_CHECK(index.status().code() == absl::StatusCode::kDataLoss ||
                  index.status().code() == absl::StatusCode::kInvalidArgument);
    return false;
  }
  for (const auto& [tensor, file] : index->file_of) {
    HALCYON_CHECK(file != "." && file != ".." && !file.empty());
    HALCYON_CHECK(file.find('/') == file.npos && file.find('\0') == file.npos);
  }
  return true;
}

}  // namespace halcyon::storage

#endif  // HALCYON_TESTS_FUZZ_STORAGE_PARSERS_H_
