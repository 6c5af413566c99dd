// Of storage/cache_format.h: pages in extents.
#include <cstring>

#include "storage/cache_format.h"

namespace halcyon::storage {
namespace {

uint32_t Number(std::string_view bytes) {
  uint32_t number;
  std::memcpy(&number, bytes.data(), sizeof(number));
  return number;
}

}  // namespace

uint32_t PageBytesOf(std::string_view extent) {
  if (extent.size() < kPageHeaderBytes) return 0;
  const std::optional<Element> element = ElementOf(static_cast<uint8_t>(extent[2]));
  if (!element) return 0;
  const unsigned __int128 payload = static_cast<unsigned __int128>(Number(extent.substr(4))) *
                                    Number(extent.substr(8)) * BytesOf(*element);
  if (payload > extent.size() - kPageHeaderBytes) return 0;
  return static_cast<uint32_t>(kPageHeaderBytes + static_cast<uint64_t>(payload));
}

absl::Status ForEachPage(const PageKey& last, std::string_view extent, UsePage use) {
  const uint32_t page_bytes = PageBytesOf(extent);
  if (page_bytes == 0 ||
      PagesOf(static_cast<uint32_t>(extent.size()), page_bytes) > last.page + uint64_t{1}) {
    return DataLoss("the value up to " + Describe(last) + " is no run of pages");
  }
  PageKey key = last;
  key.page -= PagesOf(static_cast<uint32_t>(extent.size()), page_bytes) - 1;
  for (; !extent.empty(); ++key.page) {
    const std::string_view page = extent.substr(0, page_bytes);
    RETURN_IF_ERROR(use(key, page));
    extent.remove_prefix(page.size());
  }
  return absl::OkStatus();
}

absl::Status VisitExpected(CacheReader& cache, const PageKey& first, uint32_t pages, UsePage use) {
  const absl::Status visited = cache.Visit(first, pages, use);
  if (!absl::IsNotFound(visited)) return visited;
  return DataLoss(MessageOf(visited) + ", but the shard's record counts it");
}

}  // namespace halcyon::storage
