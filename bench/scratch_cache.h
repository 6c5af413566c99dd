// Caches that a benchmark makes and that go away with it. TMPDIR chooses the disk.
#ifndef HALCYON_BENCH_SCRATCH_CACHE_H_
#define HALCYON_BENCH_SCRATCH_CACHE_H_

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/env.h"
#include "storage/page_cache.h"

namespace halcyon::storage {

class Scratch {
 public:
  Scratch() : path_((std::filesystem::temp_directory_path() / "halcyon-bench-XXXXXX").string()) {
    HALCYON_CHECK(mkdtemp(path_.data()) != nullptr);
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string Path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

template <typename T>
T Must(absl::StatusOr<T> result) {
  HALCYON_CHECK(result.ok());
  return std::move(*result);
}

inline std::unique_ptr<CacheBuilder> OpenBuilder(const Scratch& scratch, const std::string& dataset,
                                                 CacheOwner owner = {}) {
  std::vector<std::string> notes;
  return Must(
      CacheBuilder::Open(*Env::Posix(), scratch.Path("build"), dataset, std::move(owner), &notes));
}

// In the folder of the unfinished cache.
inline std::string ShardPath(const Scratch& scratch, uint32_t shard) {
  return scratch.Path("build/" + std::to_string(shard) + ".sst");
}

// Builds and publishes a data set of shards that `write` makes, and opens it.
template <typename Write>
std::unique_ptr<CacheReader> BuildCache(const Scratch& scratch, uint32_t shards, Write write) {
  const std::string dataset(64, 'a');
  const auto builder = OpenBuilder(scratch, dataset);
  for (uint32_t shard = 0; shard < shards; ++shard) {
    const SstFile file = write(ShardPath(scratch, shard), dataset, shard);
    Must(builder->Ingest({{file, shard, 0}}).at(0));
  }
  Must(builder->Publish(scratch.Path("generation"), shards));
  return Must(CacheReader::Open(scratch.Path("generation"), dataset));
}

}  // namespace halcyon::storage

#endif  // HALCYON_BENCH_SCRATCH_CACHE_H_
