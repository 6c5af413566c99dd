#include "pipeline/token_files/stored_ids.h"

#include <fmt/format.h>

#include "base/check.h"
#include "pipeline/npy.h"

namespace halcyon::pipeline {

std::string TextOf(const UnknownId& unknown, const TokenLayout& layout, uint64_t first_byte,
                   uint64_t vocab_size) {
  const uint64_t byte = first_byte + unknown.place * layout.type.bytes;
  return fmt::format("token {} (byte {}) is id {}, which no token of the vocabulary has (0 to {})",
                     (byte - layout.begin) / layout.type.bytes, byte, unknown.id, vocab_size - 1);
}

absl::StatusOr<std::vector<uint32_t>> ReadIds(Env& env, const std::string& path,
                                              uint64_t vocab_size) {
  HALCYON_CHECK(vocab_size <= uint64_t{1} << 32);
  ASSIGN_OR_RETURN(const std::string bytes, env.ReadFile(path));
  // Another kind of file is none without a header.
  if (!IsNpy(bytes)) return Annotate(ParseNpyHeader(bytes).status(), path);
  ASSIGN_OR_RETURN(const TokenLayout layout,
                   ParseTokenLayout(path, bytes, bytes.size(), jobs::TokenType::kAuto));
  std::vector<uint32_t> ids;
  const auto unknown = DecodeIds(
      layout.type, std::string_view(bytes).substr(layout.begin),
      [&](uint64_t id) { return id < vocab_size; }, &ids);
  if (!unknown) return ids;
  return InvalidArgument(path + ": " + TextOf(*unknown, layout, layout.begin, vocab_size) +
                         ": they were made with another tokenizer");
}

}  // namespace halcyon::pipeline
