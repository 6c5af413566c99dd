#include <cstddef>
#include <cstdint>

#include "tests/fuzz/token_file_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const auto type : {halcyon::jobs::TokenType::kAuto, halcyon::jobs::TokenType::kUint32}) {
    halcyon::pipeline::CheckTokenLayoutParser(bytes, type);
  }
  halcyon::pipeline::CheckMegatronIndexParser(bytes);
  return 0;
}
