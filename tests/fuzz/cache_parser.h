// What the parsers of the caches' keys, pages and records guarantee for all bytes; shared by the
// fuzzer and the mutation test of every build. A broken promise aborts, or is seen by the address
// sanitizer.
#ifndef HALCYON_TESTS_FUZZ_CACHE_PARSER_H_
#define HALCYON_TESTS_FUZZ_CACHE_PARSER_H_

#include <string>
#include <string_view>

#include "base/check.h"
#include "storage/cache_format.h"

namespace halcyon::storage {

inline bool IsDamageOrNewer(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsFailedPrecondition(status);
}

// True when accepted; then encoding it again gives the same bytes.
inline bool CheckCacheKeyParser(std::string_view bytes) {
  const auto key = DecodeKey(bytes);
  if (!key.ok()) {
    HALCYON_CHECK(absl::IsDataLoss(key.status()));
    return false;
  }
  const std::string dataset = key->dataset_prefix + std::string(64 - 2 * kDatasetPrefixBytes, '0');
  HALCYON_CHECK((key->is_record ? EncodeRecordKey(dataset, key->page.shard)
                                : EncodeKey(dataset, key->page)) == bytes);
  return true;
}

// True when accepted, checksum included; then encoding it again gives the same bytes.
inline bool CheckPageParser(const PageKey& key, std::string_view value) {
  const auto page = ParsePage(key, value);
  if (!page.ok()) {
    HALCYON_CHECK(IsDamageOrNewer(page.status()) && !VerifyPage(key, value).ok());
    return false;
  }
  const uint64_t bytes = uint64_t{page->count} * page->width * BytesOf(page->element);
  HALCYON_CHECK(page->payload.size() == bytes);
  HALCYON_CHECK(page->payload.data() + bytes == value.data() + value.size());
  const absl::Status verified = VerifyPage(key, value);
  HALCYON_CHECK(verified.ok() || absl::IsDataLoss(verified));
  HALCYON_CHECK(!verified.ok() || EncodePage(key, *page) == value);
  return verified.ok();
}

// True when accepted; then the pages fill the extent and end with that of the key.
inline bool CheckExtentParser(const PageKey& last, std::string_view extent) {
  size_t bytes = 0;
  std::optional<PageKey> before;
  const absl::Status status =
      ForEachPage(last, extent, [&](const PageKey& key, std::string_view value) {
        HALCYON_CHECK(value.data() == extent.data() + bytes);
        HALCYON_CHECK(!before || key.page == before->page + 1);
        bytes += value.size();
        before = key;
        return absl::OkStatus();
      });
  HALCYON_CHECK(bytes <= extent.size());
  HALCYON_CHECK(status.ok() || IsDamageOrNewer(status));
  HALCYON_CHECK(!status.ok() || (bytes == extent.size() && before && before->page == last.page));
  return status.ok();
}

// True when accepted; then encoding it again gives a record that is read as the same.
inline bool CheckRecordParser(uint32_t shard, std::string_view value) {
  const auto record = DecodeRecord(shard, value);
  if (!record.ok()) {
    HALCYON_CHECK(IsDamageOrNewer(record.status()));
    return false;
  }
  const std::string encoded = EncodeRecord(*record);
  const auto again = DecodeRecord(shard, encoded);
  HALCYON_CHECK(again.ok() && EncodeRecord(*again) == encoded);
  return true;
}

}  // namespace halcyon::storage

#endif  // HALCYON_TESTS_FUZZ_CACHE_PARSER_H_
