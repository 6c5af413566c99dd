// tiktoken's rank files: a line for each token, its bytes in base64 and its rank, which is its id.
// Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_TIKTOKEN_FILE_H_
#define HALCYON_PIPELINE_TOKENIZER_TIKTOKEN_FILE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "pipeline/tokenizer.h"

namespace halcyon::pipeline {

// `pattern`: a name of PatternByName, or an expression; "" for the files that OpenAI published,
// which are recognised by their SHA-256. The special tokens are those of the published encoding
// with this pattern and number of ranks, else <|endoftext|> after the last rank. Ids that no token
// has decode to nothing. kInvalidArgument: not such a file, or no pattern where one is needed.
absl::StatusOr<std::shared_ptr<const Tokenizer>> ReadTiktoken(std::string_view file,
                                                              const std::string& pattern);

using SpecialIds = std::map<uint32_t, std::string>;

// The same with all that the file does not say: the expression, and the special tokens.
absl::StatusOr<std::shared_ptr<const Tokenizer>> MakeTiktoken(std::string_view file,
                                                              const std::string& regex,
                                                              const SpecialIds& specials);

// Whether the first line is one of a rank file.
bool IsTiktoken(std::string_view file);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_TIKTOKEN_FILE_H_
