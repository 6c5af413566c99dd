#include "pipeline/tokenizer/pcre2_property.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string>

#include "base/check.h"
#include "pipeline/utf8.h"

namespace halcyon::pipeline {

CodePointSet Pcre2Property(std::string_view name) {
  std::string all;
  for (char32_t point = 0; point < kCodePoints; ++point) {
    if (point < 0xD800 || point > 0xDFFF) AppendUtf8(point, &all);
  }
  const std::string regex = "\\p{" + std::string(name) + "}+";
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* const code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(regex.data()), regex.size(),
                                         PCRE2_UTF, &error, &offset, nullptr);
  HALCYON_CHECK(code != nullptr);
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  pcre2_match_data* const match = pcre2_match_data_create_from_pattern(code, nullptr);
  CodePointSet set;
  for (size_t at = 0; pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(all.data()), all.size(), at,
                                  PCRE2_NO_UTF_CHECK, match, nullptr) > 0;) {
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match);
    at = range[1];
    for (size_t i = range[0]; i < at;) {
      const char32_t point = NextCodePoint(all, &i);
      set.Add(point, point);
    }
  }
  pcre2_match_data_free(match);
  pcre2_code_free(code);
  return set;
}

}  // namespace halcyon::pipeline
