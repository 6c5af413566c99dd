// An SST file of a page cache while it is written: a shard's, or of several shards merged. It is
// written beside its name, synced, renamed, and its folder synced.
#ifndef HALCYON_STORAGE_SST_OUTPUT_H_
#define HALCYON_STORAGE_SST_OUTPUT_H_

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "storage/page_cache.h"

namespace rocksdb {
class SstFileWriter;
}  // namespace rocksdb

namespace halcyon::storage {

inline constexpr std::string_view kSstSuffix = ".sst";
inline constexpr std::string_view kSstDraftSuffix = ".sst.tmp";

// Not thread-safe. An unfinished file is removed by the destructor.
class SstOutput {
 public:
  // REQUIRES: the path ends with kSstSuffix, and nobody else writes it.
  static absl::StatusOr<std::unique_ptr<SstOutput>> Create(const std::string& path);
  ~SstOutput();

  // kInvalidArgument: the key does not come after the one before. A full disk is
  // kResourceExhausted.
  absl::Status Put(const std::string& key, std::string_view value);
  absl::StatusOr<SstFile> Finish();

 private:
  explicit SstOutput(std::string path);
  const std::string path_, temporary_;
  std::unique_ptr<rocksdb::SstFileWriter> writer_;
  bool finished_ = false;
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_SST_OUTPUT_H_
