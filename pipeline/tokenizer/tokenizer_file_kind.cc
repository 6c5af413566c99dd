#include "pipeline/tokenizer/tokenizer_file_kind.h"

#include "pipeline/tokenizer/stored_json.h"
#include "pipeline/tokenizer/tiktoken_file.h"

namespace halcyon::pipeline {

TokenizerFileKind RecogniseTokenizerFile(std::string_view bytes) {
  const size_t first = bytes.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return TokenizerFileKind::kNone;
  // Field 1 of a SentencePiece model, whose first field is text as well: a line feed is the tag of
  // both.
  if (bytes.size() > 3 && bytes[0] == '\n' &&
      bytes.substr(2, 2).find('\n') != std::string_view::npos) {
    return TokenizerFileKind::kSentencePiece;
  }
  if (std::string_view("{[\"").find(bytes[first]) != std::string_view::npos) {
    return IsStored(bytes) ? TokenizerFileKind::kStored : TokenizerFileKind::kJson;
  }
  return IsTiktoken(bytes) ? TokenizerFileKind::kTiktoken : TokenizerFileKind::kNone;
}

std::string WhyNoTokenizer(std::string_view bytes) {
  if (bytes.starts_with("#version")) {
    return "is a list of merges, half of a tokenizer; name the tokenizer.json beside it";
  }
  return "is neither a tokenizer.json, nor ranks of tiktoken, nor a SentencePiece model";
}

}  // namespace halcyon::pipeline
