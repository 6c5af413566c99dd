// The steps that hand-written matchers consist of. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_MATCHERS_SCANNER_H_
#define HALCYON_PIPELINE_TOKENIZER_MATCHERS_SCANNER_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "pipeline/tokenizer/unicode/code_point_classes.h"
#include "pipeline/utf8.h"

namespace halcyon::pipeline {

static_assert(std::endian::native == std::endian::little);

// Positions in one text, which is valid UTF-8, and the classes of the characters there. Cheap to
// copy; owns nothing.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text), classes_(&CodePointClasses::Get()) {}

  size_t size() const { return text_.size(); }
  // '\0' at the end and beyond.
  char ByteAt(size_t at) const { return at < text_.size() ? text_[at] : '\0'; }

  // The class of the character at `at`, which moves past it. REQUIRES: at < size().
  CodePointClass Next(size_t* at) const {
    const auto byte = static_cast<uint8_t>(text_[*at]);
    if (byte >= 0x80) return classes_->Of(NextCodePoint(text_, at));
    ++*at;
    return classes_->OfAscii(byte);
  }

  // The end of the characters from `at` on that are of any of the classes `kWanted` (not 0).
  template <CodePointClass kWanted>
  size_t EndOf(size_t at) const {
    return EndWhile(at, [](CodePointClass c) { return (c & kWanted) != 0; });
  }
  template <typename Predicate>
  size_t EndWhile(size_t at, Predicate holds) const {
    while (at < text_.size()) {
      const size_t begin = at;
      if (!holds(Next(&at))) return begin;
    }
    return at;
  }

  size_t EndOfLetters(size_t at) const {
    // Eight bytes at a time: a loop over bytes would mispredict the end of most words.
    while (at + sizeof(uint64_t) <= text_.size()) {
      uint64_t bytes;
      std::memcpy(&bytes, text_.data() + at, sizeof bytes);
      const uint64_t others = ~AsciiLetters(bytes) & kHighBits;
      if (others == 0) {
        at += sizeof bytes;
        continue;
      }
      at += static_cast<size_t>(std::countr_zero(others)) / 8;
      if (static_cast<uint8_t>(text_[at]) < 0x80) return at;
      break;
    }
    return EndOf<kLetter>(at);
  }

  // The end of at most `count_max` numbers.
  size_t EndOfNumbers(size_t at, size_t count_max) const {
    for (; count_max > 0 && at < text_.size(); --count_max) {
      const size_t begin = at;
      if ((Next(&at) & kNumber) == 0) return begin;
    }
    return at;
  }

  // The end of one of 's 't 'm 'd 'll 've 're at `at`; `at` where there is none. `kAnyCase` takes
  // capitals and U+017F, whose capital is S.
  template <bool kAnyCase>
  size_t EndOfContraction(size_t at) const {
    if (ByteAt(at) != '\'') return at;
    const auto letter = [&](size_t ahead) {
      const char c = ByteAt(at + ahead);
      return kAnyCase && c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    };
    const char first = letter(1);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
    const char second = letter(2);
    const bool is_long = (first == 'l' && second == 'l') || (first == 'v' && second == 'e') ||
                         (first == 'r' && second == 'e');
    if (is_long || (kAnyCase && first == '\xC5' && second == '\xBF')) return at + 3;
    return at;
  }

  struct WhiteSpace {
    size_t end = 0;        // of the run
    size_t last = 0;       // where its last character begins
    size_t lines_end = 0;  // behind its last line end; 0: it has none
  };
  // REQUIRES: white space at `at`.
  WhiteSpace WhiteSpaceAt(size_t at) const {
    WhiteSpace run;
    while (at < text_.size()) {
      const size_t begin = at;
      const CodePointClass c = Next(&at);
      if ((c & kWhiteSpace) == 0) break;
      run.end = at;
      run.last = begin;
      if (c & kLineEnd) run.lines_end = at;
    }
    return run;
  }

 private:
  static constexpr uint64_t kHighBits = 0x8080808080808080;
  static constexpr uint64_t Repeated(uint8_t byte) { return byte * 0x0101010101010101; }

  // The high bit of each byte that is A-Z or a-z; the other bits mean nothing. No sum carries into
  // the next byte, as each is of two numbers below 128.
  static uint64_t AsciiLetters(uint64_t bytes) {
    const uint64_t small = (bytes | Repeated(0x20)) & ~kHighBits;
    const uint64_t from_a = small + Repeated(0x80 - 'a');
    const uint64_t beyond_z = small + Repeated(0x80 - ('z' + 1));
    return from_a & ~beyond_z & ~bytes;
  }

  std::string_view text_;
  const CodePointClasses* classes_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_MATCHERS_SCANNER_H_
