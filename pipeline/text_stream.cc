#include "pipeline/text_stream.h"

#include <algorithm>

#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

// A decoder looks no further back than this: a character has at most four tokens of a byte.
constexpr size_t kContextTokens = 8;
// Ids that are no characters at all are shown as they are after so many.
constexpr size_t kWaitingMax = 8;
constexpr std::string_view kUnreadable = "\xEF\xBF\xBD";

// Also where a decoder has put U+FFFD for the bytes of an unfinished character.
bool EndsWithinACharacter(const std::string& text) {
  return text.ends_with(kUnreadable) || FirstInvalidUtf8(text) != std::string::npos;
}

}  // namespace

absl::StatusOr<std::string> DecodeBehind(const Tokenizer& tokenizer,
                                         std::span<const uint32_t> before,
                                         std::span<const uint32_t> ids) {
  const auto context = before.last(std::min(before.size(), kContextTokens));
  std::vector<uint32_t> joined(context.begin(), context.end());
  joined.insert(joined.end(), ids.begin(), ids.end());
  ASSIGN_OR_RETURN(const std::string first, tokenizer.Decode(context));
  ASSIGN_OR_RETURN(const std::string whole, tokenizer.Decode(joined));
  const auto same = std::ranges::mismatch(first, whole).in2 - whole.begin();
  return whole.substr(static_cast<size_t>(same));
}

absl::StatusOr<std::string> TextStream::Add(std::span<const uint32_t> ids) {
  waiting_.insert(waiting_.end(), ids.begin(), ids.end());
  ASSIGN_OR_RETURN(std::string text, DecodeBehind(tokenizer_, before_, waiting_));
  if (EndsWithinACharacter(text) && waiting_.size() < kWaitingMax) return std::string();
  Shown();
  return text;
}

absl::StatusOr<std::string> TextStream::Finish() {
  ASSIGN_OR_RETURN(std::string text, DecodeBehind(tokenizer_, before_, waiting_));
  Shown();
  return text;
}

void TextStream::Shown() {
  before_.insert(before_.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
}

}  // namespace halcyon::pipeline
