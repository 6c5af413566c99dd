// Token and latent caches: write-once data sets of pages in RocksDB, built shard by shard.
//
// A data set belongs to one fingerprint. Its life:
//   1. worker processes write one SST file a shard (ShardWriter): pages, then the shard's record;
//   2. the owner (the coordinator) takes the files in, many at a time (CacheBuilder): it checks
//      each and writes their shards into the cache's ingest log (storage/ingest_log.h).
//      The ingest is the commit: a shard is done when the log says so, also after a crash;
//   3. when all shards are in, the owner publishes an immutable generation: a RocksDB of links to
//      the files, of which small ones were merged, with a manifest of file checksums and the
//      content digest;
//   4. readers (CacheReader) open published generations only, read-only, any number at a time. They
//      find pages by an index that was derived when the generation was made, and that they map.
//
// Keys and values are in docs/latent_cache_format.md; constants in storage/cache_format.h.
#ifndef HALCYON_STORAGE_PAGE_CACHE_H_
#define HALCYON_STORAGE_PAGE_CACHE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/env.h"
#include "base/status.h"

namespace halcyon::storage {

enum class Split : uint8_t { kTrain = 0, kHeldout = 1 };
inline constexpr int kSplits = 2;

// What a page holds. One data set uses kTokens and kDocumentLengths, or kLatents.
enum class PageKind : uint8_t { kTokens = 1, kDocumentLengths = 2, kLatents = 3 };

struct PageKey {
  uint32_t shard = 0;
  Split split = Split::kTrain;
  PageKind kind = PageKind::kTokens;
  uint32_t page = 0;
  auto operator<=>(const PageKey&) const = default;
};

using UsePage = absl::FunctionRef<absl::Status(const PageKey& key, std::string_view value)>;

// The last record of a shard's SST: what was written, and under which lease.
struct ShardRecord {
  std::string dataset;  // fingerprint, 64 hexadecimal digits
  uint32_t shard = 0;
  uint64_t fence = 0;  // of the lease it was made under
  uint64_t pages = 0;
  // Named counts, e.g. "train.documents", "train.tokens", "invalid_utf8"; sums make the data set's.
  std::map<std::string, uint64_t> counts;
  // Over the keys and values of all pages in order, without the fence: equal contents, equal
  // digest.
  std::string content_digest;
};

// A finished SST and what its producer knows about it.
struct SstFile {
  std::string path;
  std::string file_checksum;  // CRC32c of the bytes as written, 8 hexadecimal digits
  uint64_t bytes = 0;
};

// Writes one shard. Not thread-safe. The file appears under its final name only when whole.
class ShardWriter {
 public:
  // `path`: the SST to make (path + ".tmp" meanwhile; nobody else may write the same path).
  static absl::StatusOr<std::unique_ptr<ShardWriter>> Create(const std::string& path,
                                                             const std::string& dataset,
                                                             uint32_t shard, uint64_t fence);
  virtual ~ShardWriter() = default;
  // REQUIRES: keys ascend and belong to the shard; `value` is made by EncodePage
  // (storage/cache_format.h), which is checked. A full disk is kResourceExhausted.
  virtual absl::Status Add(const PageKey& key, std::string_view value) = 0;
  virtual absl::StatusOr<SstFile> Finish(std::map<std::string, uint64_t> counts) = 0;
};

// Files of adjacent shards are merged up to this size. A terabyte is then some 4,000 files, opening
// one costs nothing beside reading it, and a merge that a crash cuts short is a second of work.
inline constexpr uint64_t kMergedFileBytes = 256 << 20;

// Who builds a cache.
struct CacheOwner {
  // The number of the claim of its stage (storage/lease.h); a log of a higher one is not written.
  uint64_t claim = 1;
  // Whether the claim is still held; asked before each commit, and before files are removed.
  std::function<absl::Status()> check = [] { return absl::OkStatus(); };
  uint64_t merged_bytes = kMergedFileBytes;
};

// What a worker has made of a shard under the lease that is now the shard's.
struct ShardResult {
  SstFile file;
  uint32_t shard = 0;
  uint64_t fence_min = 0;
};

// The owner's side. Not thread-safe.
class CacheBuilder {
 public:
  // Opens or begins the unfinished cache of `dataset` in the folder `dir`. Shards whose file is
  // missing or has another size than the log says are not done any more; `notes` says so.
  // kDataLoss: the log is damaged or lost; one that could not be read has another code. kAborted:
  // there is a log of a later claim.
  // kFailedPrecondition when it holds another data set or a newer format.
  static absl::StatusOr<std::unique_ptr<CacheBuilder>> Open(Env& env, const std::string& dir,
                                                            const std::string& dataset,
                                                            CacheOwner owner,
                                                            std::vector<std::string>* notes);
  virtual ~CacheBuilder() = default;

  // The committed shards. Costs no reading, whatever their number.
  virtual std::set<uint32_t> Committed() const = 0;

  // Removes the SST files of the folder that hold no committed shard, also unfinished ones
  // (NAME.sst.tmp), but for those whose name `keep` says true of: of workers whose leases hold.
  using KeepFile = std::function<bool(const std::string& name)>;
  virtual absl::Status RemoveLeftovers(const KeepFile& keep) = 0;

  // Verifies each file (checksum, blocks, keys, record: dataset, shard, fence >= `fence_min`) and
  // commits the shards of those that fit, all together. The files lie in the cache's folder, and
  // belong to the cache from then on. One answer for each: kAlreadyExists when the shard is in;
  // kAborted when the record carries an older fence, or the claim is lost; kDataLoss when bytes
  // differ or are another shard's or data set's. A shard is not in unless its answer is OK.
  virtual std::vector<absl::StatusOr<ShardRecord>> Ingest(
      const std::vector<ShardResult>& results) = 0;

  // Merges adjacent files into one of `merged_bytes`, if there are enough; false when not. Takes
  // about a second at most, and memory for few pages. Nothing is lost by an error.
  virtual absl::StatusOr<bool> MergeSome() = 0;

  struct Published {
    std::string content_digest;  // SHA-256 over the shards' digests in order
    uint64_t bytes = 0;
    std::map<std::string, uint64_t> counts;  // summed over the shards
  };
  // Merges what is left to merge and makes the generation in `dir` (must not exist; appears whole
  // or not at all; on the file system of the cache's folder). What was done of it is not done again
  // after an error or a crash.
  // kFailedPrecondition unless exactly shards 0 ... shards-1 are in. kDataLoss: a file was damaged
  // since it was taken in; its shards, and only these, are not done any more.
  virtual absl::StatusOr<Published> Publish(const std::string& dir, uint32_t shards) = 0;
};

// A published generation. Thread-safe.
class CacheReader {
 public:
  // Checks the manifest, the files' sizes, the index with the shards' records, and the last record
  // of each file; a `dataset` of "" accepts any. Holds no memory for each page, and none of
  // RocksDB. kNotFound: no such folder; kDataLoss: not whole, or damaged; kFailedPrecondition:
  // another data set, or a newer format. Writes nothing to the folder.
  static absl::StatusOr<std::unique_ptr<CacheReader>> Open(const std::string& dir,
                                                           const std::string& dataset);
  virtual ~CacheReader() = default;
  virtual const std::string& dataset() const = 0;
  virtual const std::string& content_digest() const = 0;
  virtual uint32_t shards() const = 0;
  // "SPLIT.WHAT" of the shard's record; 0 when it has none. REQUIRES: shard < shards().
  virtual uint64_t Count(uint32_t shard, Split split, std::string_view what) const = 0;
  // Of a shard < shards(), as it was written; decoded at each call.
  virtual absl::StatusOr<ShardRecord> Record(uint32_t shard) const = 0;
  // Calls `use` with pages first.page ... first.page + pages - 1 in order, as EncodePage made them,
  // verified; the bytes go away when `use` returns. Pages that lie together are read together.
  // kNotFound: one is missing; kDataLoss: a checksum differs; kInternal: the file cannot be read.
  virtual absl::Status Visit(const PageKey& first, uint32_t pages, UsePage use) = 0;
  // One page, copied; otherwise as Visit.
  absl::StatusOr<std::string> Get(const PageKey& key);
  // Reads every byte: file checksums, block checksums, shard digests. kDataLoss names the file.
  virtual absl::Status Verify() = 0;
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_PAGE_CACHE_H_
