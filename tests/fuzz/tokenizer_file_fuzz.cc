// Tokenizer files of all kinds: refused with a reason, or a tokenizer that encodes and decodes.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "pipeline/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using halcyon::pipeline::Encoder;
  using halcyon::pipeline::Tokenizer;
  constexpr std::string_view kText = " The river, 1234 and\n\n\u00e9\u4f60\u597d\U0001F600";
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const char* pattern : {"", "llama3"}) {
    const auto tokenizer = Tokenizer::FromBytes(bytes, "f", pattern);
    if (!tokenizer.ok()) {
      HALCYON_CHECK(absl::IsInvalidArgument(tokenizer.status()));
      continue;
    }
    std::vector<uint32_t> ids;
    Encoder::Create(*tokenizer)->Encode(kText, &ids);
    HALCYON_CHECK((*tokenizer)->Decode(ids).ok());
    const auto again = Tokenizer::FromBytes((*tokenizer)->ToJson(), "again");
    HALCYON_CHECK(again.ok());
  }
  return 0;
}
