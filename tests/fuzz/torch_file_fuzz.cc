#include <cstddef>
#include <cstdint>

#include "tests/fuzz/torch_parsers.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  halcyon::storage::CheckTorchPickleParser(bytes);
  halcyon::storage::CheckZipParser(bytes);
  return 0;
}
