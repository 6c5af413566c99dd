// Tokens in the page cache: documents of ids, independent of K. Each shard and split is one
// stream of tokens cut into pages of kTokensPerPage, and one stream of document lengths.
#ifndef HALCYON_STORAGE_TOKEN_CACHE_H_
#define HALCYON_STORAGE_TOKEN_CACHE_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

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

// Reads a published token cache. Thread-safe. Holds 32 bytes a shard.
class TokenReader {
 public:
  explicit TokenReader(std::unique_ptr<CacheReader> cache);
  uint32_t shards() const;
  const CacheReader& cache() const { return *cache_; }
  // REQUIRES: shard < shards().
  uint64_t Tokens(uint32_t shard, Split split) const;
  uint64_t Documents(uint32_t shard, Split split) const;
  // Tokens first ... first + out.size() - 1 of a shard's stream. kInvalidArgument past its end.
  absl::Status Read(uint32_t shard, Split split, uint64_t first, std::span<uint32_t> out);
  // The same of its documents' lengths in tokens.
  absl::Status ReadLengths(uint32_t shard, Split split, uint64_t first, std::span<uint32_t> out);

 private:
  struct Counts {
    uint64_t tokens = 0;
    uint64_t documents = 0;
  };
  // `key` but for the page; values 0 ... total - 1 are there.
  absl::Status ReadValues(PageKey key, uint64_t total, uint64_t first, std::span<uint32_t> out);

  std::unique_ptr<CacheReader> cache_;
  std::vector<std::array<Counts, kSplits>> counts_;  // by shard
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_TOKEN_CACHE_H_
