#include <cstddef>
#include <cstdint>

#include "tests/fuzz/sample_log_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  halcyon::storage::CheckSampleLogParser(text);
  halcyon::storage::CheckSampleLogParser(halcyon::storage::WithChecksums(text));
  return 0;
}
