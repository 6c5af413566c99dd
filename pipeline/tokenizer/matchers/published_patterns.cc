#include "pipeline/tokenizer/matchers/published_patterns.h"

#include <algorithm>
#include <limits>

#include "pipeline/tokenizer/matchers/scanner.h"

namespace halcyon::pipeline {
namespace {

// [^\r\n\p{L}\p{N}], which may stand before the letters of a word.
bool MayPrecedeLetters(CodePointClass c) { return (c & (kLetter | kNumber | kLineEnd)) == 0; }

// [^\s\p{L}\p{N}]
bool IsSymbol(CodePointClass c) { return (c & (kLetter | kNumber | kWhiteSpace)) == 0; }

// \s+(?!\S)|\s+: before other text, white space leaves its last character to what follows.
size_t EndWithoutLast(const Scanner& text, size_t begin, const Scanner::WhiteSpace& run) {
  return run.end == text.size() || run.last == begin ? run.end : run.last;
}

// \s*[\r\n]+|\s+(?!\S)|\s+
size_t EndOfLines(const Scanner& text, size_t begin) {
  const Scanner::WhiteSpace run = text.WhiteSpaceAt(begin);
  return run.lines_end > 0 ? run.lines_end : EndWithoutLast(text, begin, run);
}

// Rules: where does the match end that begins at `begin`? The expressions match any character, so
// matches follow each other without gaps. REQUIRES of each: begin < text.size().

struct Gpt2Rule {
  static size_t End(const Scanner& text, size_t begin) {
    size_t at = begin;
    CodePointClass c = text.Next(&at);
    if (c == 0) {
      const size_t contraction = text.EndOfContraction<false>(begin);
      if (contraction > begin) return contraction;
    }
    if (c & kWhiteSpace) {
      const bool is_space = text.ByteAt(begin) == ' ';
      if (!is_space || at == text.size()) return EndOfSpaces(text, begin);
      c = text.Next(&at);
      if (c & kWhiteSpace) return EndOfSpaces(text, begin);
    }
    if (c & kLetter) return text.EndOfLetters(at);
    if (c & kNumber) return text.EndOf<kNumber>(at);
    return text.EndWhile(at, IsSymbol);
  }

 private:
  static size_t EndOfSpaces(const Scanner& text, size_t begin) {
    return EndWithoutLast(text, begin, text.WhiteSpaceAt(begin));
  }
};

// ` ?[^\s\p{L}\p{N}]+[\r\n]*`, and / with the line ends; `begin` where it does not match.
template <bool kSlashes>
size_t EndOfSymbols(const Scanner& text, size_t begin) {
  const size_t first = begin + (text.ByteAt(begin) == ' ' ? 1 : 0);
  size_t at = text.EndWhile(first, IsSymbol);
  if (at == first) return begin;
  for (char c = text.ByteAt(at); c == '\r' || c == '\n' || (kSlashes && c == '/');) {
    c = text.ByteAt(++at);
  }
  return at;
}

// `kWholeEnd`: \s+\z comes before the other alternatives of white space.
template <size_t kNumbersMax, bool kWholeEnd>
struct Cl100kRule {
  static size_t End(const Scanner& text, size_t begin) {
    size_t at = begin;
    const CodePointClass c = text.Next(&at);
    if (c & kLetter) return text.EndOfLetters(at);
    if (c & kNumber) return text.EndOfNumbers(at, kNumbersMax - 1);
    const size_t contraction = text.EndOfContraction<true>(begin);
    if (contraction > begin) return contraction;
    if (MayPrecedeLetters(c)) {
      const size_t letters = text.EndOfLetters(at);
      if (letters > at) return letters;
    }
    const size_t symbols = EndOfSymbols<false>(text, begin);
    if (symbols > begin) return symbols;
    if (kWholeEnd) {
      const Scanner::WhiteSpace run = text.WhiteSpaceAt(begin);
      if (run.end == text.size()) return run.end;
    }
    return EndOfLines(text, begin);
  }
};

struct O200kRule {
  static constexpr CodePointClass kHead = kUpper | kUncased | kMark;
  static constexpr CodePointClass kTail = kLower | kUncased | kMark;

  static size_t End(const Scanner& text, size_t begin) {
    size_t at = begin;
    const CodePointClass c = text.Next(&at);
    if (c & kNumber) return text.EndOfNumbers(at, 2);
    const bool has_prefix = MayPrecedeLetters(c);
    const size_t word = EndOfWord(text, begin, has_prefix ? at : begin);
    if (word > begin) return text.EndOfContraction<true>(word);
    const size_t symbols = EndOfSymbols<true>(text, begin);
    return symbols > begin ? symbols : EndOfLines(text, begin);
  }

 private:
  // [kHead]*[kTail]+, else [kHead]+[kTail]*, at `first`, which may be behind a character of no case
  // that is at `begin`: where that is a mark, the first alternative may match it alone, before the
  // second is tried behind it. `begin` where neither matches.
  static size_t EndOfWord(const Scanner& text, size_t begin, size_t first) {
    size_t at = first, tail_end = 0;  // behind the last character that ends the first alternative
    while (at < text.size()) {
      size_t next = at;
      const CodePointClass c = text.Next(&next);
      if ((c & kHead) == 0) {
        if (c & kLower) return text.EndOf<kTail>(next);
        break;
      }
      at = next;
      if (c & kTail) tail_end = at;
    }
    if (tail_end > 0) return tail_end;
    if (first > begin) {
      size_t after = begin;
      if (text.Next(&after) & kMark) return first;
    }
    return at > first ? at : begin;
  }
};

template <typename Rule>
class Matcher final : public SpanSource {
 public:
  void Start(std::string_view text) override {
    text_ = text;
    at_ = 0;
  }
  bool NextSpan(Span* span) override {
    if (at_ == text_.size()) return false;
    *span = {at_, Rule::End(Scanner(text_), at_), true};
    at_ = span->end;
    return true;
  }
  size_t NextSpans(Span* spans, size_t count_max) override {
    const Scanner text(text_);
    size_t count = 0, at = at_;
    for (; count < count_max && at < text_.size(); ++count) {
      const size_t end = Rule::End(text, at);
      spans[count] = {at, end, true};
      at = end;
    }
    at_ = at;
    return count;
  }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

template <typename Rule>
std::unique_ptr<SpanSource> NewMatcher() {
  return std::make_unique<Matcher<Rule>>();
}

struct WrittenMatcher {
  std::string_view regex;
  bool fancy_regex_only;  // elsewhere the text means something else
  std::unique_ptr<SpanSource> (*make)();
};

constexpr WrittenMatcher kMatchers[] = {
    {published::kGpt2, false, NewMatcher<Gpt2Rule>},
    {published::kTiktokenR50k, true, NewMatcher<Gpt2Rule>},
    {published::kLlama3, false, NewMatcher<Cl100kRule<3, false>>},
    {published::kQwen2, false, NewMatcher<Cl100kRule<1, false>>},
    {published::kCl100k, false, NewMatcher<Cl100kRule<3, true>>},
    {published::kTiktokenCl100k, true, NewMatcher<Cl100kRule<3, true>>},
    {published::kO200k, false, NewMatcher<O200kRule>},
};

}  // namespace

SpanPattern MatcherOf(std::string_view regex, RegexDialect dialect) {
  for (const WrittenMatcher& matcher : kMatchers) {
    if (matcher.regex != regex) continue;
    if (matcher.fancy_regex_only && dialect != RegexDialect::kFancyRegex) continue;
    return matcher.make;
  }
  return nullptr;
}

}  // namespace halcyon::pipeline
