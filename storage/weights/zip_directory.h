// The table of contents of a zip archive, as far as torch.save uses the format: entries stored
// without compression or encryption, with the 64-bit extensions. Nothing is unpacked: an entry is a
// range of the file's bytes.
//
// Checksums of entries are not compared: torch.save may be told to leave them out, and no reader of
// its files looks at them.
#ifndef HALCYON_STORAGE_WEIGHTS_ZIP_DIRECTORY_H_
#define HALCYON_STORAGE_WEIGHTS_ZIP_DIRECTORY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "base/status.h"

namespace halcyon::storage {

// Where an entry's bytes lie in the file.
struct ZipEntry {
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

// `size` bytes of the archive from `offset`.
using ReadAt = std::function<absl::StatusOr<std::string>(uint64_t offset, uint64_t size)>;

// Entries by name, folders left out. kDataLoss, saying what: no archive or a truncated one, a
// directory over 64 MB, compressed or encrypted entries, a name twice, bytes outside the file.
// Errors of `read` are passed on.
absl::StatusOr<std::map<std::string, ZipEntry>> ReadZipDirectory(const ReadAt& read,
                                                                 uint64_t file_bytes);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_WEIGHTS_ZIP_DIRECTORY_H_
