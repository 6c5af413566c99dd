#include "storage/cache_format.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "base/check.h"
#include "storage/hex.h"
#include "storage/strict_json.h"

namespace halcyon::storage {
namespace {

// A record's place: no split, kind or page reaches these values, so it sorts last in its shard.
constexpr uint8_t kRecordMark = 0xff;
constexpr uint32_t kRecordPage = 0xffffffff;
constexpr size_t kChecksumOffset = 12;
static_assert(kChecksumOffset + sizeof(uint64_t) == kPageHeaderBytes);
static_assert(std::endian::native == std::endian::little);

void PutBig32(std::string* out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) *out += static_cast<char>(value >> shift);
}

uint32_t GetBig32(std::string_view bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

void PutLittle(std::string* out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) *out += static_cast<char>(value >> (8 * i));
}

uint64_t GetLittle(std::string_view bytes, int count) {
  uint64_t value = 0;
  for (int i = count - 1; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::string DatasetPrefix(std::string_view dataset) {
  HALCYON_CHECK(CheckDataset(dataset).ok());
  return *BytesFromHex(dataset.substr(0, 2 * kDatasetPrefixBytes));
}

// Short enough for a string to hold it without an allocation, of which a window would need many.
static_assert(kRelativeKeyBytes < 16);

std::string RelativeKey(uint32_t shard, uint8_t split, uint8_t kind, uint32_t page) {
  std::string key;
  PutBig32(&key, shard);
  key += static_cast<char>(split);
  key += static_cast<char>(kind);
  PutBig32(&key, page);
  return key;
}

std::string RelativeKey(const PageKey& key) {
  return RelativeKey(key.shard, static_cast<uint8_t>(key.split), static_cast<uint8_t>(key.kind),
                     key.page);
}

std::string RelativeRecordKey(uint32_t shard) {
  return RelativeKey(shard, kRecordMark, kRecordMark, kRecordPage);
}

uint64_t ValueChecksum(std::string_view relative_key, std::string_view value) {
  std::array<char, kRelativeKeyBytes + kChecksumOffset + sizeof(uint64_t)> guarded;
  char* at = std::copy(relative_key.begin(), relative_key.end(), guarded.data());
  at = std::copy_n(value.data(), kChecksumOffset, at);
  const uint64_t payload = Xxh3(value.substr(kPageHeaderBytes));
  std::memcpy(at, &payload, sizeof(payload));
  return Xxh3({guarded.data(), guarded.size()});
}

// Pages and records share one form; a record's kind is kRecordMark.
std::string EncodeValue(std::string_view relative_key, uint8_t kind, const Page& page) {
  HALCYON_CHECK(page.payload.size() == uint64_t{page.count} * page.width * BytesOf(page.element));
  std::string value;
  value.reserve(kPageHeaderBytes + page.payload.size());
  value += static_cast<char>(kCacheFormatVersion);
  value += static_cast<char>(kind);
  value += static_cast<char>(page.element);
  value += '\0';
  PutLittle(&value, page.count, 4);
  PutLittle(&value, page.width, 4);
  PutLittle(&value, 0, 8);
  value += page.payload;
  std::string checksum;
  PutLittle(&checksum, ValueChecksum(relative_key, value), 8);
  value.replace(kChecksumOffset, checksum.size(), checksum);
  return value;
}

// `what` is a function, since its text is wanted in an error only.
template <typename Describe>
absl::StatusOr<Page> ParseValue(uint8_t kind, std::string_view value, const Describe& what) {
  if (value.size() < kPageHeaderBytes) {
    return DataLoss(what() + ": " + std::to_string(value.size()) + " bytes are no whole header");
  }
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(value[i]); };
  if (byte(0) != kCacheFormatVersion) return CheckVersion(byte(0), what());
  const std::optional<Element> element = ElementOf(byte(2));
  if (byte(1) != kind || byte(3) != 0 || !element) {
    return DataLoss(what() + ": its header is damaged");
  }
  Page page;
  page.element = *element;
  page.count = static_cast<uint32_t>(GetLittle(value.substr(4), 4));
  page.width = static_cast<uint32_t>(GetLittle(value.substr(8), 4));
  page.payload = value.substr(kPageHeaderBytes);
  const uint32_t size = BytesOf(page.element);
  if (page.payload.size() % size != 0 ||
      page.payload.size() / size != uint64_t{page.count} * page.width) {
    return DataLoss(what() + ": its header promises " + std::to_string(page.count) + " rows of " +
                    std::to_string(page.width) + " values, there are " +
                    std::to_string(page.payload.size()) + " bytes");
  }
  return page;
}

template <typename Describe>
absl::Status CheckChecksum(std::string_view relative_key, std::string_view value,
                           const Describe& what) {
  const uint64_t stored = GetLittle(value.substr(kChecksumOffset), 8);
  if (stored == ValueChecksum(relative_key, value)) return absl::OkStatus();
  return DataLoss(what() +
                  ": its checksum differs; the bytes were damaged after they were written");
}

std::string DescribeRecord(uint32_t shard) { return "shard " + std::to_string(shard) + ", record"; }

absl::StatusOr<ShardRecord> ReadRecordJson(std::string_view text) {
  ASSIGN_OR_RETURN(const nlohmann::json json, ParseStrictJson(text));
  ShardRecord record;
  ASSIGN_OR_RETURN(record.dataset, StringMember(json, "dataset"));
  ASSIGN_OR_RETURN(const uint64_t shard, UnsignedMember(json, "shard"));
  record.shard = static_cast<uint32_t>(shard);
  ASSIGN_OR_RETURN(record.fence, UnsignedMember(json, "fence"));
  ASSIGN_OR_RETURN(record.pages, UnsignedMember(json, "pages"));
  ASSIGN_OR_RETURN(record.content_digest, StringMember(json, "content_digest"));
  ASSIGN_OR_RETURN(const nlohmann::json* counts, Member(json, "counts"));
  for (const auto& [name, count] : counts->items()) {
    ASSIGN_OR_RETURN(record.counts[name], UnsignedMember(*counts, name.c_str()));
  }
  return record;
}

}  // namespace

std::optional<Element> ElementOf(uint8_t code) {
  if (code < static_cast<uint8_t>(Element::kU16) || code > static_cast<uint8_t>(Element::kF32)) {
    return std::nullopt;
  }
  return static_cast<Element>(code);
}

uint32_t BytesOf(Element element) {
  switch (element) {
    case Element::kU16:
    case Element::kF16:
    case Element::kBF16:
      return 2;
    case Element::kU32:
    case Element::kF32:
      return 4;
    case Element::kJson:
      return 1;
  }
  return 1;
}

absl::Status CheckDataset(std::string_view dataset) {
  if (IsDigest(dataset)) return absl::OkStatus();
  return InvalidArgument("not a fingerprint of 64 lowercase hexadecimal digits: '" +
                         std::string(dataset) + "'");
}

std::string EncodeKey(std::string_view dataset, const PageKey& key) {
  return DatasetPrefix(dataset) + RelativeKey(key);
}

std::string EncodeRecordKey(std::string_view dataset, uint32_t shard) {
  return DatasetPrefix(dataset) + RelativeRecordKey(shard);
}

absl::StatusOr<CacheKey> DecodeKey(std::string_view bytes) {
  if (bytes.size() != kKeyBytes) {
    return DataLoss("a cache key has " + std::to_string(bytes.size()) + " bytes, expected " +
                    std::to_string(kKeyBytes));
  }
  ASSIGN_OR_RETURN(CacheKey key, DecodeRelativeKey(bytes.substr(kDatasetPrefixBytes)));
  key.dataset_prefix = absl::BytesToHexString(ToAbsl(bytes.substr(0, kDatasetPrefixBytes)));
  return key;
}

absl::StatusOr<CacheKey> DecodeRelativeKey(std::string_view relative) {
  HALCYON_CHECK(relative.size() == kRelativeKeyBytes);
  CacheKey key;
  key.page.shard = GetBig32(relative);
  if (relative == RelativeRecordKey(key.page.shard)) {
    key.is_record = true;
    return key;
  }
  const auto split = static_cast<uint8_t>(relative[4]);
  const auto kind = static_cast<uint8_t>(relative[5]);
  if (split >= kSplits || kind < static_cast<uint8_t>(PageKind::kTokens) ||
      kind > static_cast<uint8_t>(PageKind::kLatents)) {
    return DataLoss("a cache key names split " + std::to_string(split) + " and kind " +
                    std::to_string(kind) + ", which do not exist");
  }
  key.page.split = static_cast<Split>(split);
  key.page.kind = static_cast<PageKind>(kind);
  key.page.page = GetBig32(relative.substr(6));
  return key;
}

std::string EncodePage(const PageKey& key, const Page& page) {
  return EncodeValue(RelativeKey(key), static_cast<uint8_t>(key.kind), page);
}

absl::StatusOr<Page> ParsePage(const PageKey& key, std::string_view value) {
  return ParseValue(static_cast<uint8_t>(key.kind), value, [&] { return Describe(key); });
}

absl::Status VerifyPage(const PageKey& key, std::string_view value) {
  RETURN_IF_ERROR(ParsePage(key, value).status());
  return CheckChecksum(RelativeKey(key), value, [&] { return Describe(key); });
}

std::string Describe(const PageKey& key) {
  const char* kind = key.kind == PageKind::kTokens    ? "tokens"
                     : key.kind == PageKind::kLatents ? "latents"
                                                      : "document lengths";
  return "shard " + std::to_string(key.shard) + ", " + std::string(NameOf(key.split)) + " " + kind +
         ", page " + std::to_string(key.page);
}

std::string_view NameOf(Split split) { return split == Split::kTrain ? "train" : "heldout"; }

absl::Status CheckVersion(uint64_t version, std::string_view what) {
  if (version == kCacheFormatVersion) return absl::OkStatus();
  if (version == 0) return DataLoss(std::string(what) + ": has no format version");
  return FailedPrecondition(
      std::string(what) + ": written in cache format " + std::to_string(version) +
      ", this program reads " + std::to_string(kCacheFormatVersion) +
      (version > kCacheFormatVersion ? "; use a newer Halcyon or build the cache again"
                                     : "; build the cache again"));
}

std::string EncodeRecord(const ShardRecord& record) {
  const std::string json =
      nlohmann::json{{"dataset", record.dataset}, {"shard", record.shard},
                     {"fence", record.fence},     {"pages", record.pages},
                     {"counts", record.counts},   {"content_digest", record.content_digest}}
          .dump();
  return EncodeValue(RelativeRecordKey(record.shard), kRecordMark,
                     {Element::kJson, static_cast<uint32_t>(json.size()), 1, json});
}

absl::StatusOr<ShardRecord> DecodeRecord(uint32_t shard, std::string_view value) {
  const auto what = [shard] { return DescribeRecord(shard); };
  ASSIGN_OR_RETURN(const Page page, ParseValue(kRecordMark, value, what));
  RETURN_IF_ERROR(CheckChecksum(RelativeRecordKey(shard), value, what));
  const auto record = ReadRecordJson(page.payload);
  if (!record.ok()) return Annotate(record.status(), what());
  if (record->shard != shard) return DataLoss(what() + ": it is of another shard");
  return record;
}

void ShardDigest::Add(const PageKey& key, std::string_view value) {
  // No lengths between the parts: keys have one size and a value's header tells its own.
  hash_.Update(RelativeKey(key));
  hash_.Update(value);
}

std::string DatasetDigest(const std::vector<ShardRecord>& shards) {
  DatasetHash hash;
  for (const ShardRecord& shard : shards) hash.Add(shard);
  return hash.HexDigest();
}

}  // namespace halcyon::storage
