// The folder of a published generation while it is made: a RocksDB that takes files in by links.
#ifndef HALCYON_STORAGE_CACHE_GENERATION_H_
#define HALCYON_STORAGE_CACHE_GENERATION_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "storage/cache_manifest.h"
#include "storage/page_cache.h"
#include "storage/value_places.h"

namespace halcyon::storage {

struct GenerationFile {
  SstFile sst;
  std::vector<ValuePlace> places;
};

// Makes a RocksDB in the new folder `dir` of `files`, which stay where they are: SST files with
// disjoint ranges of keys in their order, on the folder's file system; and the index of the shards
// 0, 1, ... whose records these are. The files of the folder, their checksums those that the files
// come with. All is on the disk when it returns.
absl::StatusOr<std::vector<CacheManifest::File>> MakeGeneration(
    const std::string& dir, const std::vector<GenerationFile>& files,
    const std::vector<ShardRecord>& records);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_CACHE_GENERATION_H_
