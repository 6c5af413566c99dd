// The bytes of the token and latent caches: keys, pages, shard records. docs/latent_cache_format.md
// defines them.
//
// Goals: any single damaged, misplaced or missing byte is noticed by the reader, whatever RocksDB
// does; keys sort so that a shard is one range of its own; decoding is one pass without copies.
// Non-goals: other machines' byte orders in memory (files are little-endian inside pages and are
// read as such), compression, updates in place.
#ifndef HALCYON_STORAGE_CACHE_FORMAT_H_
#define HALCYON_STORAGE_CACHE_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "storage/page_cache.h"

namespace halcyon::storage {

inline constexpr uint8_t kCacheFormatVersion = 2;
inline constexpr size_t kDatasetPrefixBytes = 8;
inline constexpr size_t kRelativeKeyBytes = 10;
inline constexpr size_t kKeyBytes = kDatasetPrefixBytes + kRelativeKeyBytes;
inline constexpr size_t kPageHeaderBytes = 20;

inline constexpr uint32_t kTokensPerPage = 1024;  // and document lengths
inline constexpr uint32_t kChunksPerPage = 16;
// Pages that follow each other are one value of the store up to this size.
inline constexpr uint32_t kExtentBytes = 1 << 20;

// What the values of a page are; all little-endian.
enum class Element : uint8_t { kU16 = 1, kU32 = 2, kF16 = 3, kJson = 4, kBF16 = 5, kF32 = 6 };
// The element of a value's code; nothing when there is none.
std::optional<Element> ElementOf(uint8_t code);
uint32_t BytesOf(Element element);

// --- keys ---

// kInvalidArgument unless `dataset` is 64 lowercase hexadecimal digits.
absl::Status CheckDataset(std::string_view dataset);

// REQUIRES: `dataset` passed CheckDataset.
std::string EncodeKey(std::string_view dataset, const PageKey& key);
// The shard's record; sorts after all its pages.
std::string EncodeRecordKey(std::string_view dataset, uint32_t shard);

struct CacheKey {
  std::string dataset_prefix;  // 16 hexadecimal digits
  bool is_record = false;
  PageKey page;  // of a record only the shard counts
};
absl::StatusOr<CacheKey> DecodeKey(std::string_view bytes);
// Of the relative key alone.
absl::StatusOr<CacheKey> DecodeRelativeKey(std::string_view bytes);

// --- pages ---

struct Page {
  Element element = Element::kU32;
  uint32_t count = 0;  // rows: tokens, lengths, chunks
  uint32_t width = 1;  // values a row
  std::string_view payload;
};

// REQUIRES: payload has count * width * BytesOf(element) bytes.
std::string EncodePage(const PageKey& key, const Page& page);
// Checks the header and the size, not the checksum. The payload points into `value`.
// kDataLoss; kFailedPrecondition when a newer version wrote it.
absl::StatusOr<Page> ParsePage(const PageKey& key, std::string_view value);
// ParsePage and the checksum, which also covers the key: a page in another's place is damage.
absl::Status VerifyPage(const PageKey& key, std::string_view value);

// "shard 3, train tokens, page 7": for messages.
std::string Describe(const PageKey& key);
// "train", "heldout": also the prefix of counts, "train.tokens".
std::string_view NameOf(Split split);

// CacheReader::Visit of pages that the shard's record counts: missing is kDataLoss, not kNotFound.
absl::Status VisitExpected(CacheReader& cache, const PageKey& first, uint32_t pages, UsePage use);

// kDataLoss, kFailedPrecondition: the format `version` of what is read here is not the one of this
// program. An older cache is made again, since the stage's version is part of its fingerprint.
absl::Status CheckVersion(uint64_t version, std::string_view what);

// --- extents ---

// An extent is the value of the store: pages of one shard, split and kind that follow each other,
// all of the size of the first, but for the last, which may be smaller. Its key is that of its last
// page, so that a search for any of its pages ends at it.

// Calls `use` with each page, not verified, and its key. kDataLoss: these are no whole pages.
absl::Status ForEachPage(const PageKey& last, std::string_view extent, UsePage use);

// Of the extent's first page, with its header; 0 when there is none.
uint32_t PageBytesOf(std::string_view extent);
inline uint32_t PagesOf(uint32_t extent_bytes, uint32_t page_bytes) {
  return (extent_bytes - 1) / page_bytes + 1;
}

// --- records ---

std::string EncodeRecord(const ShardRecord& record);
absl::StatusOr<ShardRecord> DecodeRecord(uint32_t shard, std::string_view value);

// --- digests ---

// Over a shard's pages in key order. Does not cover the data set's name, so equal contents have
// equal digests under different fingerprints.
class ShardDigest {
 public:
  void Add(const PageKey& key, std::string_view value);
  std::string HexDigest() { return hash_.HexDigest(); }

 private:
  Sha256 hash_;
};

// Of a whole data set: SHA-256 over the shards' digests, each followed by a newline.
class DatasetHash {
 public:
  void Add(const ShardRecord& shard) { hash_.Update(shard.content_digest + "\n"); }
  std::string HexDigest() { return hash_.HexDigest(); }

 private:
  Sha256 hash_;
};
std::string DatasetDigest(const std::vector<ShardRecord>& shards);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_CACHE_FORMAT_H_
