// Cuts text into the pieces that byte-pair merges never cross, by a regular expression (PCRE2).
#ifndef HALCYON_PIPELINE_TOKENIZER_SPLIT_PATTERN_H_
#define HALCYON_PIPELINE_TOKENIZER_SPLIT_PATTERN_H_

#include <string>
#include <string_view>

#include "base/status.h"
#include "pipeline/tokenizer/regex_translation.h"
#include "pipeline/tokenizer/spans.h"

namespace halcyon::pipeline {

// "gpt2" for r50k_base and p50k_base, "cl100k" and "o200k" for the names that end with _base; any
// other name as it is.
std::string CanonicalPatternName(std::string_view name);

// The expression of "gpt2", "llama3", "cl100k" or "o200k", also by another name of theirs.
// kInvalidArgument lists the names.
absl::StatusOr<std::string> PatternByName(std::string_view name);

// The matches of an expression: by a matcher written by hand where there is one
// (matchers/published_patterns.h), else by PCRE2. Where an expression exhausts PCRE2's memory, the
// rest of a text is no match; those of PatternByName cannot.
// kInvalidArgument: a syntax error, or a construct that other tokenizer libraries read differently
// from PCRE2.
absl::StatusOr<SpanPattern> CompilePattern(const std::string& regex,
                                           RegexDialect dialect = RegexDialect::kOniguruma);

// The same by PCRE2 always.
absl::StatusOr<SpanPattern> CompileByPcre2(const std::string& regex,
                                           RegexDialect dialect = RegexDialect::kOniguruma);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_SPLIT_PATTERN_H_
