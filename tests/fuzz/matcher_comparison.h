// The matchers written by hand against PCRE2 on the same expressions: for tests and the fuzzer.
#ifndef HALCYON_TESTS_FUZZ_MATCHER_COMPARISON_H_
#define HALCYON_TESTS_FUZZ_MATCHER_COMPARISON_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "pipeline/tokenizer/matchers/published_patterns.h"
#include "pipeline/tokenizer/split_pattern.h"
#include "pipeline/tokenizer/unicode/code_point_set.h"
#include "pipeline/utf8.h"

namespace halcyon::testing {

// Characters of the classes that the expressions tell apart, each class as likely as the others.
class CharacterPool {
 public:
  static constexpr size_t kBytesACharacter = 3;

  CharacterPool() {
    const auto add = [&](const std::u32string& points) { classes_.push_back(points); };
    add(U"abcxyz");
    add(U"ABCXYZ");
    add(U"sStTmMdDlLvVeErRkK\u017F\u212A");  // the last two have ASCII letters for other cases
    add(U"'");
    add(U"''\u2019");
    add(U" ");
    add(U"\n");
    add(U"\r");
    add(U"\t\v\f\x1C\x1F\u200B\u180E");
    add(U"0123456789");
    add(U"/.,_-!?(\"");
    add(std::u32string(1, U'\0') + U"\x01\x7F\x80\u00B7\u200D\uFFFD");
    for (const char* name : {"White_Space", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Nd", "Nl", "No",
                             "P", "S", "C", "Cn"}) {
      std::u32string points;
      for (const auto& [first, last] : pipeline::CodePointSetOf(name).Without({})) {
        for (char32_t point = first; point <= last; ++point) points += point;
      }
      add(points);
    }
  }

  // A text of valid UTF-8 from any bytes.
  std::string TextOf(std::string_view bytes) const {
    std::string text;
    for (; bytes.size() >= kBytesACharacter; bytes.remove_prefix(kBytesACharacter)) {
      const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
      const std::u32string& points = classes_[byte(0) % classes_.size()];
      pipeline::AppendUtf8(points[(byte(1) | byte(2) << 8) * size_t{17} % points.size()], &text);
    }
    return text;
  }

 private:
  std::vector<std::u32string> classes_;
};

class MatcherComparison {
 public:
  MatcherComparison() {
    using pipeline::RegexDialect;
    namespace published = pipeline::published;
    for (const std::string_view regex : {published::kGpt2, published::kLlama3, published::kCl100k,
                                         published::kO200k, published::kQwen2}) {
      Add(regex, RegexDialect::kOniguruma);
    }
    Add(published::kTiktokenR50k, RegexDialect::kFancyRegex);
    Add(published::kTiktokenCl100k, RegexDialect::kFancyRegex);
  }

  // "" where all matchers and PCRE2 cut the text alike, else what differs. REQUIRES: valid UTF-8.
  std::string Difference(std::string_view text) const {
    for (const Pair& pair : pairs_) {
      const std::string ours = Cut(*pair.matcher, text), theirs = Cut(*pair.pcre2, text);
      if (ours != theirs) return pair.regex + "\nmatcher: " + ours + "\nPCRE2:   " + theirs;
    }
    return "";
  }

 private:
  struct Pair {
    std::string regex;
    std::unique_ptr<pipeline::SpanSource> matcher, pcre2;
  };

  void Add(std::string_view regex, pipeline::RegexDialect dialect) {
    const pipeline::SpanPattern matcher = pipeline::MatcherOf(regex, dialect);
    const auto pcre2 = pipeline::CompileByPcre2(std::string(regex), dialect);
    HALCYON_CHECK(matcher != nullptr && pcre2.ok());
    pairs_.push_back({std::string(regex), matcher(), (*pcre2)()});
  }

  // The ends of the spans; a ! stands before what is no match.
  static std::string Cut(pipeline::SpanSource& source, std::string_view text) {
    std::string ends;
    source.Start(text);
    pipeline::Span spans[7];
    for (size_t count = 7; count == 7;) {
      count = source.NextSpans(spans, 7);
      for (size_t i = 0; i < count; ++i) {
        ends.append(spans[i].is_match ? "" : "!").append(std::to_string(spans[i].end)).append(" ");
      }
    }
    return ends;
  }

  std::vector<Pair> pairs_;
};

}  // namespace halcyon::testing

#endif  // HALCYON_TESTS_FUZZ_MATCHER_COMPARISON_H_
