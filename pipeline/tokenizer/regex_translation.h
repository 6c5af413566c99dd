// Turns a regular expression that was written for another library into one that PCRE2 matches
// alike. Internal to pipeline/.
//
// Unicode properties are those of the reference tokenizers (unicode/properties.txt): where the
// linked PCRE2 has other ones, the difference is spelt out. A construct that the libraries read
// differently is refused by name.
#ifndef HALCYON_PIPELINE_TOKENIZER_REGEX_TRANSLATION_H_
#define HALCYON_PIPELINE_TOKENIZER_REGEX_TRANSLATION_H_

#include <string>
#include <string_view>

#include "base/status.h"

namespace halcyon::pipeline {

// kOniguruma: Ruby's syntax, of tokenizer.json. kFancyRegex: of tiktoken's patterns.
enum class RegexDialect { kOniguruma, kFancyRegex };

// The result is meant for PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY.
absl::StatusOr<std::string> ToPcre2(std::string_view regex, RegexDialect dialect);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_REGEX_TRANSLATION_H_
