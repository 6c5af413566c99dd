// From documents to chunks of K tokens. Each document ends with end-of-text and is padded to a
// multiple of K, so that a chunk never crosses documents; the chunks of all documents, shard after
// shard, are one stream a split. Derived from the lengths of the documents, which stay in the token
// cache: in memory are 16 bytes for each page of them (1,024 documents) and 64 for each shard.
#ifndef HALCYON_PIPELINE_SAMPLES_PACKING_H_
#define HALCYON_PIPELINE_SAMPLES_PACKING_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
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
  // Reads the lengths of all documents once: 0.3 s of processor for 10^8 of them.
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

  // Which document (0, 1, ... over the split) each of the chunks first ... first + out.size() - 1
  // of the stream belongs to.
  absl::Status DocumentsOf(Split split, uint64_t first, std::span<uint64_t> out) const;
  uint64_t Documents(Split split) const;
  const PackingRule& rule() const { return rule_; }

 private:
  // Where a page of lengths begins in the shard's chunks and tokens.
  struct Mark {
    uint64_t chunk = 0;
    uint64_t token = 0;
  };
  struct ShardStart {
    uint64_t chunk = 0;     // in the split's stream
    uint64_t document = 0;  // over the split
    uint64_t mark = 0;
    uint64_t chunks = 0;  // of the shard, whether or not the stream holds it
  };
  class DocumentCursor;
  Packing(storage::TokenReader* tokens, const PackingRule& rule) : tokens_(tokens), rule_(rule) {}
  using UseShard = absl::FunctionRef<absl::Status(uint32_t shard, uint64_t chunk, uint64_t count)>;
  // Calls `use` with each shard's part of these chunks of the stream.
  absl::Status ForEachShard(Split split, uint64_t first, uint64_t chunks, UseShard use) const;
  absl::Status AddShard(uint32_t shard, Split split, bool in_stream);

  storage::TokenReader* tokens_;
  PackingRule rule_;
  std::array<std::vector<ShardStart>, storage::kSplits> starts_;  // by shard, and the end
  std::array<std::vector<Mark>, storage::kSplits> marks_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SAMPLES_PACKING_H_
