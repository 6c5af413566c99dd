#include <cstddef>
#include <cstdint>

#include "storage/value_places.h"
#include "tests/fuzz/extent_index_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  halcyon::storage::CheckExtentIndexParser(bytes);
  halcyon::storage::DecodeValuePlaces(bytes).status().IgnoreError();
  return 0;
}
