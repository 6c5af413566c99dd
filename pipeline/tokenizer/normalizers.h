// The normalizers of tokenizer.json: text to text. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_NORMALIZERS_H_
#define HALCYON_PIPELINE_TOKENIZER_NORMALIZERS_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/tokenizer/spans.h"
#include "pipeline/tokenizer/unicode/unicode_forms.h"

namespace halcyon::pipeline {

// Valid UTF-8 to valid UTF-8. Immutable; thread-safe.
using Normalizer = std::function<std::string(std::string_view)>;

Normalizer FormNormalizer(UnicodeForm form);
Normalizer LowercaseNormalizer();
// Takes away white space at the ends.
Normalizer StripNormalizer(bool left, bool right);
// Takes away combining marks; does not decompose.
Normalizer StripAccentsNormalizer();
Normalizer ReplaceNormalizer(SpanPattern pattern, std::string content);
// Nothing is put before an empty text.
Normalizer PrependNormalizer(std::string prefix);

struct BertNormalizerOptions {
  bool clean_text = true;
  bool handle_chinese_chars = true;
  bool strip_accents = true;
  bool lowercase = true;
};
Normalizer BertNormalizer(const BertNormalizerOptions& options);

// `text` with every match of `pattern` replaced.
std::string ReplaceMatches(const SpanPattern& pattern, std::string_view content,
                           std::string_view text);

// One after another.
std::string NormalizeBy(const std::vector<Normalizer>& normalizers, std::string_view text);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_NORMALIZERS_H_
