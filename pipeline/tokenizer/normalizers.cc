#include "pipeline/tokenizer/normalizers.h"

#include <utility>

#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

// The code points of `text` for which keep(point) holds.
template <typename Keep>
std::string Filtered(std::string_view text, Keep keep) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    if (keep(NextCodePoint(text, &at))) out += text.substr(begin, at - begin);
  }
  return out;
}

std::string CleanedForBert(std::string_view text) {
  const CodePointSet& removed = CodePointSetOf("bert_removed");
  const CodePointSet& space = CodePointSetOf("bert_space");
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const char32_t point = NextCodePoint(text, &at);
    if (removed.Has(point)) continue;
    out += space.Has(point) ? " " : text.substr(begin, at - begin);
  }
  return out;
}

// What BERT takes for Chinese: the ranges of its tokenization.py, with the gap of tokenizers.
bool IsChinese(char32_t point) {
  const auto in = [point](char32_t first, char32_t last) {
    return first <= point && point <= last;
  };
  return in(0x4E00, 0x9FFF) || in(0x3400, 0x4DBF) || in(0x20000, 0x2A6DF) || in(0x2A700, 0x2B73F) ||
         in(0x2B740, 0x2B81F) || in(0x2B920, 0x2CEAF) || in(0xF900, 0xFAFF) || in(0x2F800, 0x2FA1F);
}

std::string SpacedChinese(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const bool chinese = IsChinese(NextCodePoint(text, &at));
    if (chinese) out += ' ';
    out += text.substr(begin, at - begin);
    if (chinese) out += ' ';
  }
  return out;
}

}  // namespace

Normalizer FormNormalizer(UnicodeForm form) {
  return [form](std::string_view text) { return Normalized(form, text); };
}

Normalizer LowercaseNormalizer() { return Lowercased; }

Normalizer StripNormalizer(bool left, bool right) {
  return [left, right, &space = CodePointSetOf("White_Space")](std::string_view text) {
    size_t begin = text.size(), end = 0;  // of what is not white space
    for (size_t at = 0; at < text.size();) {
      const size_t here = at;
      if (space.Has(NextCodePoint(text, &at))) continue;
      begin = std::min(begin, here);
      end = at;
    }
    if (!left) begin = 0;
    if (!right) end = text.size();
    return std::string(begin < end ? text.substr(begin, end - begin) : "");
  };
}

Normalizer StripAccentsNormalizer() {
  return [&marks = CodePointSetOf("combining_mark")](std::string_view text) {
    return Filtered(text, [&](char32_t point) { return !marks.Has(point); });
  };
}

Normalizer ReplaceNormalizer(SpanPattern pattern, std::string content) {
  return [pattern = std::move(pattern), content = std::move(content)](std::string_view text) {
    return ReplaceMatches(pattern, content, text);
  };
}

Normalizer PrependNormalizer(std::string prefix) {
  return [prefix = std::move(prefix)](std::string_view text) {
    return text.empty() ? std::string() : prefix + std::string(text);
  };
}

Normalizer BertNormalizer(const BertNormalizerOptions& options) {
  return [options, &marks = CodePointSetOf("bert_mark")](std::string_view original) {
    std::string text(original);
    if (options.clean_text) text = CleanedForBert(text);
    if (options.handle_chinese_chars) text = SpacedChinese(text);
    if (options.strip_accents) {
      text = Filtered(Normalized(UnicodeForm::kNfd, text),
                      [&](char32_t point) { return !marks.Has(point); });
    }
    return options.lowercase ? Lowercased(text) : text;
  };
}

std::string ReplaceMatches(const SpanPattern& pattern, std::string_view content,
                           std::string_view text) {
  std::string out;
  out.reserve(text.size());
  if (text.empty()) return out;  // where even an empty match is none
  const auto spans = pattern();
  spans->Start(text);
  for (Span span; spans->NextSpan(&span);) {
    out += span.is_match ? content : text.substr(span.begin, span.end - span.begin);
  }
  return out;
}

std::string NormalizeBy(const std::vector<Normalizer>& normalizers, std::string_view text) {
  std::string out(text);
  for (const Normalizer& normalizer : normalizers) out = normalizer(out);
  return out;
}

}  // namespace halcyon::pipeline
