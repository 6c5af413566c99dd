// Tokens in the page cache: documents of ids, independent of K. Each shard and split is one
// stream of tokens cut into pages of kTokensPerPage, and one stream of document lengths.
#ifndef HALCYON_STORAGE_TOKEN_CACHE_H_
#define HALCYON_STORAGE_TOKEN_CACHE_H_

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "storage/page_cache.h"

namespace halcyon::storage {

// Collects a shard's documents and writes them at Finish. Memory: the shard's tokens.
class TokenShardWriter {
 public:
  // `vocab_size` chooses 2 or 4 bytes a token.
  TokenShardWriter(std::string path, std::string dataset, uint32_t shard, uint64_t fence,
                   uint32_t vocab_size);
  // A token outside the vocabulary is kInvalidArgument at Finish.
  void AddDocument(Split split, std::span<const uint32_t> tokens);
  // `extra` counts are added to "train.documents", "train.tokens", "heldout.documents", ...
  absl::StatusOr<SstFile> Finish(const std::map<std::string, uint64_t>& extra);

 private:
  struct Stream {
    std::vector<uint32_t> tokens;
    std::vector<uint32_t> lengths;
  };
  std::string path_, dataset_;
  uint32_t shard_;
  uint64_t fence_;
  uint32_t vocab_size_;
  std::array<Stream, kSplits> streams_;
};

// Reads a published token cache. Thread-safe. Keeps the pages used last, so that neighbouring and
// repeated reads cost a copy.
class TokenReader {
 public:
  explicit TokenReader(std::unique_ptr<CacheReader> cache);
  uint32_t shards() const;
  const CacheReader& cache() const { return *cache_; }
  // REQUIRES: shard < shards().
  uint64_t Tokens(uint32_t shard, Split split) const;
  uint64_t Documents(uint32_t shard, Split split) const;
  // Length in tokens of each document of a shard, in order.
  absl::StatusOr<std::vector<uint32_t>> DocumentLengths(uint32_t shard, Split split);
  // Tokens first ... first + out.size() - 1 of a shard's stream. kInvalidArgument past its end.
  absl::Status Read(uint32_t shard, Split split, uint64_t first, std::span<uint32_t> out);

 private:
  struct Counts {
    uint64_t tokens = 0;
    uint64_t documents = 0;
  };
  struct RecentPage {
    PageKey key;
    std::shared_ptr<const std::string> value;  // verified
  };
  // 64 or 128 KiB each; windows in random order find most of a small data set here.
  static constexpr size_t kRecentPagesMax = 64;

  absl::StatusOr<std::shared_ptr<const std::string>> LoadPage(const PageKey& key);

  std::unique_ptr<CacheReader> cache_;
  std::vector<std::array<Counts, kSplits>> counts_;  // by shard
  Mutex mutex_;
  std::list<RecentPage> recent_ ABSL_GUARDED_BY(mutex_);  // the latest first
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_TOKEN_CACHE_H_
