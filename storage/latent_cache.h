// Latents in the page cache: the posterior (mean, log_std) of each chunk of the packed stream, as
// floating-point numbers of a chosen format; never samples, and no second copy of the tokens. Chunk
// i of a shard and split belongs to chunk i of the packing of the same shard and split
// (pipeline/samples/packing.h).
#ifndef HALCYON_STORAGE_LATENT_CACHE_H_
#define HALCYON_STORAGE_LATENT_CACHE_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "storage/latent_format.h"
#include "storage/page_cache.h"

namespace halcyon::storage {

// Writes a shard's chunks as they come: all of kTrain, then all of kHeldout.
class LatentShardWriter {
 public:
  static absl::StatusOr<std::unique_ptr<LatentShardWriter>> Create(const std::string& path,
                                                                   const std::string& dataset,
                                                                   uint32_t shard, uint64_t fence,
                                                                   uint32_t latent_size,
                                                                   LatentFormat format);
  // posteriors: float32 [chunks, 2 * latent_size], each row mean then log_std. kInvalidArgument on
  // a value that is not finite or too large for the format.
  absl::Status Append(Split split, std::span<const float> posteriors);
  absl::StatusOr<SstFile> Finish();

 private:
  LatentShardWriter(std::unique_ptr<ShardWriter> writer, uint32_t shard, uint32_t latent_size,
                    LatentFormat format);
  absl::Status FlushPage();

  std::unique_ptr<ShardWriter> writer_;
  uint32_t shard_;
  uint32_t latent_size_;
  LatentFormat format_;
  Split split_ = Split::kTrain;
  uint32_t page_ = 0;
  std::string pending_;  // the page being filled, encoded
  std::map<std::string, uint64_t> counts_;
};

// Reads a published latent cache, in whatever format its pages say that they are. Thread-safe.
class LatentReader {
 public:
  LatentReader(std::unique_ptr<CacheReader> cache, uint32_t latent_size);
  uint32_t shards() const;
  uint32_t latent_size() const { return latent_size_; }
  const CacheReader& cache() const { return *cache_; }
  // REQUIRES: shard < shards().
  uint64_t Chunks(uint32_t shard, Split split) const;
  // Posteriors of chunks first ... first + n - 1; out: float32 [n, 2 * latent_size].
  // kInvalidArgument past the shard's end; kFailedPrecondition when latents of another size are
  // stored.
  absl::Status Read(uint32_t shard, Split split, uint64_t first, std::span<float> out);
  // Of a chunk's page. Errors as of Read.
  absl::StatusOr<LatentFormat> FormatAt(uint32_t shard, Split split, uint64_t chunk);

 private:
  std::unique_ptr<CacheReader> cache_;
  uint32_t latent_size_;
  std::vector<std::array<uint64_t, kSplits>> chunks_;  // by shard
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_LATENT_CACHE_H_
