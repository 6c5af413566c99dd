// What the index of a generation guarantees for all bytes; shared by the fuzzer and the mutation
// test of every build. A broken promise aborts, or is seen by the address sanitizer.
#ifndef HALCYON_TESTS_FUZZ_EXTENT_INDEX_PARSER_H_
#define HALCYON_TESTS_FUZZ_EXTENT_INDEX_PARSER_H_

#include <algorithm>
#include <string_view>

#include "base/check.h"
#include "storage/extent_index.h"

namespace halcyon::storage {

// True when accepted; then what it answers about any page fits itself.
inline bool CheckExtentIndexParser(std::string_view bytes) {
  const auto index = ExtentIndex::Parse(bytes);
  if (!index.ok()) {
    HALCYON_CHECK(absl::IsDataLoss(index.status()) || absl::IsFailedPrecondition(index.status()));
    return false;
  }
  for (uint32_t shard = 0; shard < std::min(index->shards(), 100u); ++shard) {
    HALCYON_CHECK(index->Record(shard).size() <= bytes.size());
    (void)index->RecordPlace(shard);
    for (const PageKind kind :
         {PageKind::kTokens, PageKind::kDocumentLengths, PageKind::kLatents}) {
      for (const uint32_t page : {0u, 1u, 7u, 0xfffffffeu, 0xffffffffu}) {
        const auto extent = index->Find({shard, Split::kTrain, kind, page});
        if (!extent) continue;
        HALCYON_CHECK(extent->first_page <= page && page <= extent->last_page);
        HALCYON_CHECK(extent->page_bytes > 0 && extent->file < index->files());
        HALCYON_CHECK(uint64_t{page - extent->first_page} * extent->page_bytes < extent->bytes);
      }
    }
  }
  for (uint32_t file = 0; file < std::min(index->files(), 100u); ++file) {
    HALCYON_CHECK(SstNameOf(index->FileNumber(file)).ends_with(".sst"));
  }
  return true;
}

}  // namespace halcyon::storage

#endif  // HALCYON_TESTS_FUZZ_EXTENT_INDEX_PARSER_H_
