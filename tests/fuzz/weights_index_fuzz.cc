#include <cstddef>
#include <cstdint>

#include "tests/fuzz/storage_parsers.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  halcyon::storage::CheckWeightsIndexParser({reinterpret_cast<const char*>(data), size});
  return 0;
}
