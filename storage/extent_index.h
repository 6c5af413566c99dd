// The index of a published generation: where each extent lies in which SST file, and the shards'
// records. Derived from the files when the generation is made, checked by a sum when it is opened,
// and then mapped, so that all processes of a machine share it in the page cache.
// docs/latent_cache_format.md has the bytes.
#ifndef HALCYON_STORAGE_EXTENT_INDEX_H_
#define HALCYON_STORAGE_EXTENT_INDEX_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "storage/page_cache.h"
#include "storage/value_places.h"

namespace halcyon::storage {

inline constexpr char kExtentIndexName[] = "extents";

// An SST file of a generation.
struct PlacedFile {
  uint64_t number = 0;  // RocksDB's, of which it makes the name
  std::vector<ValuePlace> places;
};
// As RocksDB names it: "000009.sst".
std::string SstNameOf(uint64_t number);

// `files` in the order of their keys, `records` of shards 0, 1, ...
// kDataLoss unless the files hold the shards one after another, each with its record at the end.
absl::StatusOr<std::string> EncodeExtentIndex(const std::vector<PlacedFile>& files,
                                              const std::vector<ShardRecord>& records);

// A view of the bytes, which must stay. Thread-safe. No bytes make it read beyond them: what it
// answers about damaged ones is wrong, and the checksums of the pages show that.
class ExtentIndex {
 public:
  // kDataLoss; kFailedPrecondition for another format. Costs the same for any number of extents.
  static absl::StatusOr<ExtentIndex> Parse(std::string_view bytes);

  struct Extent {
    uint32_t file = 0;
    uint64_t offset = 0;
    uint32_t bytes = 0;
    uint32_t page_bytes = 0;  // of all pages but the last
    uint32_t first_page = 0, last_page = 0;
  };
  // The extent with this page.
  std::optional<Extent> Find(const PageKey& key) const;

  uint32_t shards() const { return shards_; }
  uint32_t files() const { return files_; }
  uint64_t extents() const { return extents_; }  // records included
  // REQUIRES: shard < shards(). The record as EncodeRecord made it, and its place in the files.
  std::string_view Record(uint32_t shard) const;
  Extent RecordPlace(uint32_t shard) const;
  // REQUIRES: file < files().
  uint64_t FileNumber(uint32_t file) const;

 private:
  uint32_t shards_ = 0, files_ = 0;
  uint64_t extents_ = 0;
  std::string_view file_table_, shard_table_, extent_table_, records_;
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_EXTENT_INDEX_H_
