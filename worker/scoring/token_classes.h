// Kinds of tokens that reconstruction is reported by: a mean over all tokens hides it when figures
// and names, a small part of any text, do not survive.
#ifndef HALCYON_WORKER_SCORING_TOKEN_CLASSES_H_
#define HALCYON_WORKER_SCORING_TOKEN_CLASSES_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "pipeline/samples/packing.h"
#include "pipeline/tokenizer.h"

namespace halcyon::worker {

// By a token's bytes; each token is of one class.
enum class TokenClass {
  kDigits,       // holds a digit 0 ... 9
  kWords,        // holds a letter (any character beyond ASCII that is no punctuation or space)
  kPunctuation,  // of the other characters, holds one that can be seen
  kWhitespace,   // spaces and line ends only
  kOther,        // parts of a character, control characters, special tokens
};
inline constexpr int kTokenClasses = 5;
std::string_view TokenClassName(TokenClass token_class);
TokenClass ClassOfBytes(std::string_view bytes);

// Which ids are rare: the types that occur least, as many as make up at most 1 % of the counted
// text, types of the same count together; always those seen at most once.
std::vector<bool> RareTokens(std::span<const uint64_t> counts);

// What each id of a vocabulary is. Immutable.
class TokenClasses {
 public:
  // counts: of each id in the training text.
  TokenClasses(const pipeline::Tokenizer& tokenizer, std::span<const uint64_t> counts);
  TokenClass Of(int64_t id) const { return classes_[static_cast<size_t>(id)]; }
  bool IsRare(int64_t id) const { return rare_[static_cast<size_t>(id)]; }

 private:
  std::vector<TokenClass> classes_;
  std::vector<bool> rare_;
};

// Occurrences of each id in the training text, or when nothing is trained on in the held-out text:
// in about four million tokens, evenly spaced, where there are more. Padding is not counted.
absl::StatusOr<std::vector<uint64_t>> CountTokens(const pipeline::Packing& packing,
                                                  uint32_t vocab_size);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_SCORING_TOKEN_CLASSES_H_
