// Unicode normalization forms and lower case, with the tables of tokenizers 0.23
// (normalization.txt). Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_UNICODE_UNICODE_FORMS_H_
#define HALCYON_PIPELINE_TOKENIZER_UNICODE_UNICODE_FORMS_H_

#include <string>
#include <string_view>

namespace halcyon::pipeline {

enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };

// REQUIRES, as below: valid UTF-8.
std::string Normalized(UnicodeForm form, std::string_view text);

// Each code point by itself: a sigma at the end of a word is like any other.
std::string Lowercased(std::string_view text);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_UNICODE_UNICODE_FORMS_H_
