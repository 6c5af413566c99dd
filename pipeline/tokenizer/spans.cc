#include "pipeline/tokenizer/spans.h"

#include <utility>

#include "base/check.h"
#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

// A source for which it is enough to find the next match that is not empty.
class MatchSpans : public SpanSource {
 public:
  void Start(std::string_view text) final {
    text_ = text;
    at_ = 0;
    match_ = {0, 0, false};
  }

  bool NextSpan(Span* span) final {
    if (at_ == text_.size()) return false;
    if (match_.end <= at_) match_ = FindFrom(text_, at_);
    *span = at_ < match_.begin ? Span{at_, match_.begin, false} : match_;
    at_ = span->end;
    return true;
  }

 protected:
  // The first match at or after `from`; one that begins and ends at the text's end: there is none.
  virtual Span FindFrom(std::string_view text, size_t from) const = 0;

 private:
  std::string_view text_;
  size_t at_ = 0;
  Span match_;
};

class LiteralSpans : public MatchSpans {
 public:
  explicit LiteralSpans(std::string literal) : literal_(std::move(literal)) {}

 protected:
  Span FindFrom(std::string_view text, size_t from) const override {
    const size_t found = text.find(literal_, from);
    if (found == std::string_view::npos) return {text.size(), text.size(), true};
    return {found, found + literal_.size(), true};
  }

 private:
  const std::string literal_;
};

class SetSpans : public MatchSpans {
 public:
  explicit SetSpans(const CodePointSet* set) : set_(set) {}

 protected:
  Span FindFrom(std::string_view text, size_t from) const override {
    while (from < text.size()) {
      const size_t begin = from;
      if (set_->Has(NextCodePoint(text, &from))) return {begin, from, true};
    }
    return {text.size(), text.size(), true};
  }

 private:
  const CodePointSet* const set_;
};

class WordSpans : public MatchSpans {
 protected:
  enum class Kind { kSpace, kWord, kOther };
  Kind KindOf(char32_t point) const {
    if (word_.Has(point)) return Kind::kWord;
    return space_.Has(point) ? Kind::kSpace : Kind::kOther;
  }
  Span FindFrom(std::string_view text, size_t from) const override {
    while (from < text.size()) {
      const size_t begin = from;
      const Kind kind = KindOf(NextCodePoint(text, &from));
      if (kind == Kind::kSpace) continue;
      for (size_t next = from; next < text.size(); from = next) {
        if (KindOf(NextCodePoint(text, &next)) != kind) break;
      }
      return {begin, from, true};
    }
    return {text.size(), text.size(), true};
  }

 private:
  const CodePointSet& word_ = CodePointSetOf("word");
  const CodePointSet& space_ = CodePointSetOf("White_Space");
};

}  // namespace

size_t SpanSource::NextSpans(Span* spans, size_t count_max) {
  size_t count = 0;
  while (count < count_max && NextSpan(spans + count)) ++count;
  return count;
}

SpanPattern MatchesOf(std::string literal) {
  HALCYON_CHECK(!literal.empty());
  return [literal] { return std::make_unique<LiteralSpans>(literal); };
}

SpanPattern MatchesOf(const CodePointSet& set) {
  return [&set] { return std::make_unique<SetSpans>(&set); };
}

SpanPattern Words() {
  return [] { return std::make_unique<WordSpans>(); };
}

}  // namespace halcyon::pipeline
