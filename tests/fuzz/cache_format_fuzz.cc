#include <cstddef>
#include <cstdint>

#include "tests/fuzz/cache_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using halcyon::storage::PageKind;
  using halcyon::storage::Split;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  halcyon::storage::CheckCacheKeyParser(bytes);
  halcyon::storage::CheckRecordParser(/*shard=*/3, bytes);
  for (const uint32_t page : {0, 7}) {
    halcyon::storage::CheckPageParser({3, Split::kTrain, PageKind::kTokens, page}, bytes);
    halcyon::storage::CheckExtentParser({3, Split::kTrain, PageKind::kTokens, page}, bytes);
  }
  return 0;
}
