#include "pipeline/tokenizer/models/model.h"

#include <fmt/format.h>

#include <charconv>

namespace halcyon::pipeline {

std::string ByteToken(uint8_t byte) { return fmt::format("<0x{:02X}>", byte); }

std::optional<uint8_t> ReadByteToken(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  uint8_t byte = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  return error == std::errc() && end == token.data() + 5 ? std::optional(byte) : std::nullopt;
}

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
