// Expressions that were published with well-known vocabularies, and matchers written by hand for
// them, which are several times as fast as a regular expression. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_MATCHERS_PUBLISHED_PATTERNS_H_
#define HALCYON_PIPELINE_TOKENIZER_MATCHERS_PUBLISHED_PATTERNS_H_

#include <string_view>

#include "pipeline/tokenizer/regex_translation.h"
#include "pipeline/tokenizer/spans.h"

namespace halcyon::pipeline {

namespace published {

#define HALCYON_CONTRACTIONS R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"

inline constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kLlama3 = HALCYON_CONTRACTIONS
    R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Llama 3's but for the white space at the end of a text.
inline constexpr std::string_view kCl100k =
    HALCYON_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
                         R"(|\s+\z|\s*[\r\n]|\s+(?!\S)|\s)";
inline constexpr std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)" HALCYON_CONTRACTIONS
    R"(?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)" HALCYON_CONTRACTIONS
    R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Of Qwen2 and Qwen3: Llama 3's but for one number at a time.
inline constexpr std::string_view kQwen2 = HALCYON_CONTRACTIONS
    R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// r50k_base and cl100k_base as tiktoken 0.14 spells them: the same matches as kGpt2 and kCl100k.
inline constexpr std::string_view kTiktokenR50k =
    R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s)";
inline constexpr std::string_view kTiktokenCl100k =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+)"
    R"(|\s++$|\s*[\r\n]|\s+(?!\S)|\s)";

#undef HALCYON_CONTRACTIONS

}  // namespace published

// nullptr: no matcher is written for this expression. It is recognised by its exact text.
SpanPattern MatcherOf(std::string_view regex, RegexDialect dialect);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_MATCHERS_PUBLISHED_PATTERNS_H_
