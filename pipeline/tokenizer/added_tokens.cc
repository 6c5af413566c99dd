#include "pipeline/tokenizer/added_tokens.h"

#include <algorithm>
#include <set>

#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

// Where the last code point of `text` begins. REQUIRES: valid UTF-8, not empty.
size_t LastCodePoint(std::string_view text) {
  size_t at = text.size() - 1;
  while ((static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

}  // namespace

absl::StatusOr<AddedTokenMatcher> AddedTokenMatcher::Create(
    const std::vector<std::pair<std::string, AddedToken>>& tokens) {
  AddedTokenMatcher matcher;
  matcher.word_ = &CodePointSetOf("word");
  matcher.space_ = &CodePointSetOf("White_Space");
  std::vector<std::pair<std::string, uint32_t>> strings;
  std::set<std::string> seen;
  for (const auto& [look, token] : tokens) {
    if (look.empty() || !seen.insert(look).second) {
      return InvalidArgument("\"" + token.content + "\" looks like nothing, or like another one");
    }
    strings.emplace_back(look, static_cast<uint32_t>(matcher.tokens_.size()));
    matcher.tokens_.push_back(token);
    matcher.has_ordinary_ |= !token.special;
  }
  matcher.trie_ = ByteTrie(std::move(strings));
  return matcher;
}

bool AddedTokenMatcher::IsSingleWord(std::string_view text, size_t begin, size_t end) const {
  if (begin > 0) {
    size_t at = LastCodePoint(text.substr(0, begin));
    if (word_->Has(NextCodePoint(text, &at))) return false;
  }
  return end == text.size() || !word_->Has(NextCodePoint(text, &end));
}

void AddedTokenMatcher::Split(std::string_view text, std::vector<TextPart>* parts) const {
  size_t done = 0;  // the text before it is in `parts`
  for (size_t at = 0; has_ordinary_ && at < text.size();) {
    const auto match = trie_.LongestPrefix(text.substr(at));
    if (!match) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[match->value];
    size_t begin = at, end = at + match->bytes;
    at = end;
    // A special token that was passed over hides the tokens within it, as in the reference.
    if (token.special || (token.single_word && !IsSingleWord(text, begin, end))) continue;
    if (token.lstrip) {
      while (begin > done) {
        const size_t last = LastCodePoint(text.substr(0, begin));
        size_t after = last;
        if (!space_->Has(NextCodePoint(text, &after))) break;
        begin = last;
      }
      begin = std::max(begin, done);
    }
    while (token.rstrip && end < text.size()) {
      size_t next = end;
      if (!space_->Has(NextCodePoint(text, &next))) break;
      end = next;
    }
    if (done < begin) parts->push_back({text.substr(done, begin - done), std::nullopt});
    parts->push_back({text.substr(begin, end - begin), token.id});
    done = end;
  }
  if (done < text.size()) parts->push_back({text.substr(done), std::nullopt});
}

}  // namespace halcyon::pipeline
