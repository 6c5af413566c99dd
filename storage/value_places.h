// Where the values of an SST file lie in it. RocksDB tells the place of each block while the file
// is written, and keeps the list among the file's own properties, so that nobody has to look for
// them later.
#ifndef HALCYON_STORAGE_VALUE_PLACES_H_
#define HALCYON_STORAGE_VALUE_PLACES_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "storage/cache_format.h"

namespace rocksdb {
struct Options;
struct TableProperties;
}  // namespace rocksdb

namespace halcyon::storage {

struct ValuePlace {
  CacheKey key;  // without the data set; of an extent, of its last page
  uint64_t offset = 0;
  uint32_t bytes = 0;
  uint32_t page_bytes = 0;  // of the extent's first page; 0 for a record
};

// Makes a writer of SST files put each value into a block of its own and keep the places.
void KeepValuePlaces(rocksdb::Options* options);

// In the order of the keys. kDataLoss: the file has none, or damaged ones.
absl::StatusOr<std::vector<ValuePlace>> ValuePlacesOf(const rocksdb::TableProperties& properties);

// The property's bytes, for tests: 26 bytes a value.
absl::StatusOr<std::vector<ValuePlace>> DecodeValuePlaces(std::string_view bytes);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_VALUE_PLACES_H_
