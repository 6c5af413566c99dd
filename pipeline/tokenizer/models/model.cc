#include "pipeline/tokenizer/models/model.h"

#include <fmt/format.h>

namespace halcyon::pipeline {

std::string ByteToken(uint8_t byte) { return fmt::format("<0x{:02X}>", byte); }

bool AppendByteTokens(const TokenIds& tokens, std::string_view text, std::vector<uint32_t>* ids) {
  const size_t before = ids->size();
  for (const char byte : text) {
    const auto id = FindToken(tokens, ByteToken(static_cast<uint8_t>(byte)));
    if (!id) {
      ids->resize(before);
      return false;
    }
    ids->push_back(*id);
  }
  return true;
}

}  // namespace halcyon::pipeline
