// From documents to chunks of K tokens. Each document ends with end-of-text and is padded to a
// multiple of K, so that a chunk never crosses documents; the chunks of all documents, shard after
// shard, are one stream a split. An index derived from document lengths; holds no tokens.
#ifndef HALCYON_PIPELINE_PACKING_H_
#define HALCYON_PIPELINE_PACKING_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "storage/token_cache.h"

namespace halcyon::pipeline {

using storage::Split;

struct PackingRule {
  uint32_t chunk_size = 4;  // K
  uint32_t end_of_text = 0;
  uint32_t padding = 0;
};

// A fraction of the shards, in a fixed random order: at least one of them. [i] tells whether shard
// i is in it. The last `heldout` ones, which hold no training text, are not counted and are not
// chosen. REQUIRES: 0 < fraction <= 1; heldout <= shards.
std::vector<bool> ChooseShards(uint32_t shards, double fraction, uint32_t heldout = 0);

// Thread-safe after Build. Does not own the reader.
class Packing {
 public:
  // `train_shards`: the shards whose training text is in the stream; empty: all. Held-out text is
  // there in any case.
  static absl::StatusOr<std::unique_ptr<Packing>> Build(storage::TokenReader* tokens,
                                                        const PackingRule& rule,
                                                        const std::vector<bool>& train_shards = {});

  uint64_t Chunks(Split split) const;
  uint32_t shards() const;
  // Where the shard's chunks begin in the split's stream. REQUIRES: shard <= shards().
  uint64_t FirstChunkOfShard(uint32_t shard, Split split) const;
  // Of the whole shard, whether or not the stream holds it.
  uint64_t ChunksOfShard(uint32_t shard, Split split) const;

  struct Place {
    uint32_t shard;
    uint64_t chunk;  // within the shard
  };
  // REQUIRES: chunk < Chunks(split).
  Place Locate(Split split, uint64_t chunk) const;

  // Ids of chunks first ... of the split's stream; out: [chunks, K].
  absl::Status Tokens(Split split, uint64_t first, std::span<uint32_t> out) const;
  // The same within one shard.
  absl::Status TokensOfShard(uint32_t shard, Split split, uint64_t first,
                             std::span<uint32_t> out) const;

  // Which document (0, 1, ... over the split) a chunk of the stream belongs to.
  uint64_t DocumentOf(Split split, uint64_t chunk) const;
  uint64_t Documents(Split split) const;
  const PackingRule& rule() const { return rule_; }

 private:
  struct Stream {                       // one shard and split
    std::vector<uint64_t> first_chunk;  // of each document, and the total at the end
    std::vector<uint64_t> first_token;  // the same in tokens
  };
  Packing(storage::TokenReader* tokens, const PackingRule& rule) : tokens_(tokens), rule_(rule) {}

  storage::TokenReader* tokens_;
  PackingRule rule_;
  std::vector<std::array<Stream, storage::kSplits>> streams_;        // by shard
  std::array<std::vector<uint64_t>, storage::kSplits> shard_chunk_;  // first chunk of each shard
  std::array<std::vector<uint64_t>, storage::kSplits> shard_document_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_PACKING_H_
