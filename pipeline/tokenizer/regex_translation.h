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
#include "pipeline/tokenizer/unicode/code_point_set.h"

namespace halcyon::pipeline {

// kOniguruma: Ruby's syntax, of tokenizer.json. kFancyRegex: of tiktoken's patterns.
enum class RegexDialect { kOniguruma, kFancyRegex };

struct TranslatedRegex {
  std::string exact;
  // Faster, with PCRE2's own properties: the same on texts that have none of `differing`.
  std::string plain;
  CodePointSet differing;
};

// The results are meant for PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY.
absl::StatusOr<TranslatedRegex> ToPcre2(std::string_view regex, RegexDialect dialect);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_REGEX_TRANSLATION_H_
