// The decoders of tokenizer.json: tokens to text. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_DECODERS_H_
#define HALCYON_PIPELINE_TOKENIZER_DECODERS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "pipeline/tokenizer/spans.h"

namespace halcyon::pipeline {

// Rewrites a sequence of tokens; what is left is put together. Immutable; thread-safe.
using Decoder = std::function<void(std::vector<std::string>*)>;

// Reads the spelling of byte_alphabet.h, of tokens that are all of it. Bytes that are no UTF-8 stay
// as they are.
Decoder ByteLevelDecoder();
// "<0x0A>" becomes the byte; a run of such tokens that is no UTF-8 becomes a U+FFFD for each.
Decoder ByteFallbackDecoder();
Decoder FuseDecoder();
// `replacement` becomes a space; with `strip_first` it is left out of the first token.
Decoder MetaspaceDecoder(std::string replacement, bool strip_first);
// Joins what begins with `prefix`, and puts a space before all else. `cleanup` takes away the
// spaces that English does not have before punctuation and contractions.
Decoder WordPieceDecoder(std::string prefix, bool cleanup);
// `suffix` ends a word.
Decoder BpeSuffixDecoder(std::string suffix);
Decoder ReplaceDecoder(SpanPattern pattern, std::string content);
// Takes up to `start` and `stop` times the character `content` from the ends of each token.
Decoder StripDecoder(std::string content, uint64_t start, uint64_t stop);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_DECODERS_H_
