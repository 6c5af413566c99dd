// Tokens that are looked for in text before the model sees it. Internal to pipeline/.
//
// Special tokens are not among them: what looks like one in a text is ordinary characters
// (encode_special_tokens of the reference).
#ifndef HALCYON_PIPELINE_TOKENIZER_ADDED_TOKENS_H_
#define HALCYON_PIPELINE_TOKENIZER_ADDED_TOKENS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "pipeline/tokenizer/byte_trie.h"
#include "pipeline/tokenizer/unicode/code_point_set.h"

namespace halcyon::pipeline {

struct AddedToken {
  std::string content;
  uint32_t id = 0;
  bool single_word = false;  // not within a word
  bool lstrip = false;       // takes the white space before it as well
  bool rstrip = false;       // and after it
  bool normalized = false;   // looked for in normalized text
  bool special = false;
};

struct TextPart {
  std::string_view text;
  std::optional<uint32_t> id;  // of the added token that it is
};

// Immutable; thread-safe.
class AddedTokenMatcher {
 public:
  // `tokens` with what each looks like in the text that is searched. kInvalidArgument: two look
  // alike, or one is empty.
  static absl::StatusOr<AddedTokenMatcher> Create(
      const std::vector<std::pair<std::string, AddedToken>>& tokens);

  // The parts of a text: the leftmost tokens, the longest of those, and what lies between. Parts
  // that are no token are never empty.
  void Split(std::string_view text, std::vector<TextPart>* parts) const;

 private:
  bool IsSingleWord(std::string_view text, size_t begin, size_t end) const;

  ByteTrie trie_;  // of places in tokens_
  std::vector<AddedToken> tokens_;
  bool has_ordinary_ = false;  // a token that is not special
  const CodePointSet* word_ = nullptr;
  const CodePointSet* space_ = nullptr;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_ADDED_TOKENS_H_
