#include "worker/scoring/token_classes.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "base/check.h"
#include "pipeline/utf8.h"

namespace halcyon::worker {
namespace {

using pipeline::Split;

constexpr double kRareShare = 0.01;
constexpr uint64_t kCountedTokensMax = 4 << 20;
constexpr uint64_t kCountedBlockTokens = 4096;

bool In(uint32_t point, uint32_t first, uint32_t last) { return first <= point && point <= last; }

TokenClass ClassOfCodePoint(uint32_t point) {
  if (In(point, '0', '9')) return TokenClass::kDigits;
  if (In(point, 'a', 'z') || In(point, 'A', 'Z')) return TokenClass::kWords;
  if (In(point, '\t', '\r') || point == ' ' || point == 0x85 || point == 0xA0 ||
      In(point, 0x2000, 0x200A) || In(point, 0x2028, 0x2029) || point == 0x202F ||
      point == 0x205F || point == 0x3000) {
    return TokenClass::kWhitespace;
  }
  if (point < 0x20 || In(point, 0x7F, 0x9F)) return TokenClass::kOther;
  // Latin-1 signs, the blocks General Punctuation and CJK Symbols and Punctuation.
  if (point < 0x7F || In(point, 0xA1, 0xBF) || In(point, 0x2010, 0x206F) ||
      In(point, 0x3001, 0x303F)) {
    return TokenClass::kPunctuation;
  }
  return TokenClass::kWords;
}

}  // namespace

std::string_view TokenClassName(TokenClass token_class) {
  switch (token_class) {
    case TokenClass::kDigits:
      return "digits";
    case TokenClass::kWords:
      return "words";
    case TokenClass::kPunctuation:
      return "punctuation";
    case TokenClass::kWhitespace:
      return "whitespace";
    case TokenClass::kOther:
      return "other";
  }
  HALCYON_CHECK(false && "a token class without a name");
}

TokenClass ClassOfBytes(std::string_view bytes) {
  if (bytes.empty() || !pipeline::IsValidUtf8(bytes)) return TokenClass::kOther;
  std::array<bool, kTokenClasses> holds{};
  for (size_t at = 0; at < bytes.size();) {
    holds[static_cast<size_t>(ClassOfCodePoint(pipeline::NextCodePoint(bytes, &at)))] = true;
  }
  for (const TokenClass visible :
       {TokenClass::kDigits, TokenClass::kWords, TokenClass::kPunctuation}) {
    if (holds[static_cast<size_t>(visible)]) return visible;
  }
  return holds[static_cast<size_t>(TokenClass::kOther)] ? TokenClass::kOther
                                                        : TokenClass::kWhitespace;
}

std::vector<bool> RareTokens(std::span<const uint64_t> counts) {
  std::map<uint64_t, uint64_t> tokens_by_count;
  uint64_t total = 0;
  for (const uint64_t count : counts) {
    tokens_by_count[count] += count;
    total += count;
  }
  uint64_t limit = 1, tokens = 0;
  for (const auto& [count, of_count] : tokens_by_count) {
    tokens += of_count;
    if (static_cast<double>(tokens) > kRareShare * static_cast<double>(total)) break;
    limit = std::max(limit, count);
  }
  std::vector<bool> rare;
  for (const uint64_t count : counts) rare.push_back(count <= limit);
  return rare;
}

TokenClasses::TokenClasses(const pipeline::Tokenizer& tokenizer, std::span<const uint64_t> counts)
    : rare_(RareTokens(counts)) {
  HALCYON_CHECK(counts.size() == tokenizer.vocab_size());
  for (uint32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const bool special = id == tokenizer.end_of_text() || id == tokenizer.padding();
    classes_.push_back(special ? TokenClass::kOther : ClassOfBytes(tokenizer.Bytes(id)));
  }
}

absl::StatusOr<std::vector<uint64_t>> CountTokens(const pipeline::Packing& packing,
                                                  uint32_t vocab_size) {
  const Split split = packing.Chunks(Split::kTrain) > 0 ? Split::kTrain : Split::kHeldout;
  const uint64_t chunk_size = packing.rule().chunk_size;
  const uint64_t chunks = packing.Chunks(split);
  const uint64_t block = std::max<uint64_t>(1, kCountedBlockTokens / chunk_size);
  const uint64_t blocks = (chunks + block - 1) / block;
  const uint64_t taken = std::min(blocks, kCountedTokensMax / kCountedBlockTokens);
  std::vector<uint64_t> counts(vocab_size, 0);
  for (uint64_t i = 0; i < taken; ++i) {
    const uint64_t first = i * blocks / taken * block;
    std::vector<uint32_t> ids(std::min(block, chunks - first) * chunk_size);
    RETURN_IF_ERROR(packing.Tokens(split, first, ids));
    for (const uint32_t id : ids) {
      if (id >= vocab_size) {
        return InvalidArgument("the token cache holds the id " + std::to_string(id) +
                               ", the tokenizer has " + std::to_string(vocab_size) +
                               " tokens; name the tokenizer that the tokens were made with");
      }
      if (id != packing.rule().padding) ++counts[id];
    }
  }
  return counts;
}

}  // namespace halcyon::worker
