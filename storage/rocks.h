// What every RocksDB of this folder shares: options and the translation of its errors. Only .cc
// files include RocksDB's own headers; this one names its types without them.
#ifndef HALCYON_STORAGE_ROCKS_H_
#define HALCYON_STORAGE_ROCKS_H_

#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "base/status.h"

namespace rocksdb {
class Status;
struct Options;
}  // namespace rocksdb

namespace halcyon::storage {

// `what` is put before RocksDB's message. Corruption becomes kDataLoss, a full disk
// kResourceExhausted, a missing key or path kNotFound, the rest kInternal.
absl::Status FromRocks(const rocksdb::Status& status, std::string_view what);

// For opening an existing database: a missing file is damage there, kDataLoss.
absl::Status FromRocksOpen(const rocksdb::Status& status, std::string_view what);

// Few threads, no statistics, and errors in our log instead of LOG files in the database's folder,
// so that a read-only opening writes nothing.
rocksdb::Options QuietOptions();

// For the page caches: plain SST files, values as they are, nothing compacted, every file with a
// CRC32c that RocksDB remembers and checks, and each value in a block of its own. Of many shards'
// files only some are open at a time.
rocksdb::Options CacheOptions();

// Of the files of a page cache, how many this process keeps open at a time.
int OpenFilesOfACache();

// CRC32c of a whole file in RocksDB's form, as 8 hexadecimal digits.
absl::StatusOr<std::string> FileCrc32c(const std::string& path);
// The same, and `use` gets the file's bytes, a piece of 1 MiB or less at a time; its error ends it.
absl::StatusOr<std::string> VisitWithCrc32c(const std::string& path,
                                            absl::FunctionRef<absl::Status(std::string_view)> use);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_ROCKS_H_
