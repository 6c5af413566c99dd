// Published caches as NumPy arrays, for other programs.
#ifndef HALCYON_PIPELINE_CACHE_EXPORT_H_
#define HALCYON_PIPELINE_CACHE_EXPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "storage/page_cache.h"

namespace halcyon::pipeline {

struct ExportedArray {
  std::string path;
  std::string type;  // as NumPy spells it: "<u2", "<u4", "<f2", "<f4"
  std::vector<uint64_t> shape;
};

// Writes the streams of a cache of tokens or latents into the folder `dir`, all shards one after
// another; SPLIT is train or heldout, and a split without documents has no files:
//   SPLIT_tokens.npy   uint16 or uint32 [tokens], as the cache holds them
//   SPLIT_lengths.npy  uint32 [documents], in tokens
//   SPLIT_latents.npy  float16 or float32 [chunks, 2 * latent_size]: mean, then log_std; bfloat16,
//                      which NumPy lacks, becomes float32 without a change of value
// Holds a page at a time. kDataLoss: a page is damaged or missing; then, and when the disk is full,
// the array that was being written has no name yet.
absl::StatusOr<std::vector<ExportedArray>> ExportCache(storage::CacheReader& cache,
                                                       const std::string& dir);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_CACHE_EXPORT_H_
