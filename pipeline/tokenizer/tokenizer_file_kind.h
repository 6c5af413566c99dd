// What kind of tokenizer a file holds, by its content. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_TOKENIZER_FILE_KIND_H_
#define HALCYON_PIPELINE_TOKENIZER_TOKENIZER_FILE_KIND_H_

#include <string>
#include <string_view>

namespace halcyon::pipeline {

enum class TokenizerFileKind {
  kJson,           // JSON, which should be a tokenizer.json
  kTiktoken,       // ranks of tokens
  kSentencePiece,  // a model file of SentencePiece
  kStored,         // stored_json.h
  kNone,
};

TokenizerFileKind RecogniseTokenizerFile(std::string_view bytes);

// Of a file of no such kind: what it is instead, where that can be told, and what to do.
std::string WhyNoTokenizer(std::string_view bytes);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_TOKENIZER_FILE_KIND_H_
