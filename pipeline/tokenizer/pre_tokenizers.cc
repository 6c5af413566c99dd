#include "pipeline/tokenizer/pre_tokenizers.h"

#include <optional>
#include <utility>

#include "pipeline/tokenizer/byte_alphabet.h"

namespace halcyon::pipeline {
namespace {

class SplitSource : public PieceSource {
 public:
  SplitSource(std::unique_ptr<SpanSource> spans, SplitBehavior behavior, bool invert)
      : spans_(std::move(spans)), behavior_(behavior), invert_(invert) {}

  void Start(TextPiece piece) override {
    whole_ = piece;
    pending_.reset();
    spans_->Start(piece.text);
  }

  bool Next(TextPiece* piece) override {
    for (Span span; NextSpan(&span);) {
      if (span.begin == span.end) continue;
      *piece = {whole_.text.substr(span.begin, span.end - span.begin),
                whole_.at_start && span.begin == 0};
      return true;
    }
    return false;
  }

 private:
  // Of the behaviour's result; spans that a match joins are held back until it is known.
  bool NextSpan(Span* out) {
    for (Span span; spans_->NextSpan(&span);) {
      if (invert_) span.is_match = !span.is_match;
      if (behavior_ == SplitBehavior::kIsolated ||
          (behavior_ == SplitBehavior::kRemoved && !span.is_match)) {
        *out = span;
        return true;
      }
      if (behavior_ == SplitBehavior::kRemoved) continue;
      if (pending_ && Joins(*pending_, span)) {
        pending_->end = span.end;
        pending_->is_match = span.is_match;
        continue;
      }
      const std::optional<Span> ready = std::exchange(pending_, span);
      if (ready) {
        *out = *ready;
        return true;
      }
    }
    if (!pending_) return false;
    *out = *std::exchange(pending_, std::nullopt);
    return true;
  }

  // `previous` has the kind of the span that was joined last.
  bool Joins(const Span& previous, const Span& span) const {
    switch (behavior_) {
      case SplitBehavior::kContiguous:
        return previous.is_match == span.is_match;
      case SplitBehavior::kMergedWithPrevious:
        return span.is_match && !previous.is_match;
      case SplitBehavior::kMergedWithNext:
        return previous.is_match && !span.is_match;
      default:
        return false;
    }
  }

  const std::unique_ptr<SpanSource> spans_;
  const SplitBehavior behavior_;
  const bool invert_;
  TextPiece whole_;
  std::optional<Span> pending_;
};

// A source of one piece, which is another text than it was given.
class RewritingSource : public PieceSource {
 public:
  void Start(TextPiece piece) final {
    has_next_ = true;
    piece_ = Rewrite(piece);
  }
  bool Next(TextPiece* piece) final {
    if (!std::exchange(has_next_, false) || piece_.text.empty()) return false;
    *piece = piece_;
    return true;
  }

 protected:
  virtual TextPiece Rewrite(TextPiece piece) = 0;

 private:
  TextPiece piece_;
  bool has_next_ = false;
};

class SpaceReplacingSource : public RewritingSource {
 public:
  SpaceReplacingSource(std::string replacement, PrependScheme scheme)
      : replacement_(std::move(replacement)), scheme_(scheme) {}

 protected:
  TextPiece Rewrite(TextPiece piece) override {
    text_.clear();
    const bool begins = piece.text.starts_with(replacement_) || piece.text.starts_with(' ');
    if (!begins && (scheme_ == PrependScheme::kAlways ||
                    (scheme_ == PrependScheme::kFirst && piece.at_start))) {
      text_ = replacement_;
    }
    for (const char c : piece.text) {
      if (c == ' ') {
        text_ += replacement_;
      } else {
        text_ += c;
      }
    }
    return {text_, piece.at_start};
  }

 private:
  const std::string replacement_;
  const PrependScheme scheme_;
  std::string text_;
};

class PrefixSpaceSource : public RewritingSource {
 protected:
  TextPiece Rewrite(TextPiece piece) override {
    if (piece.text.starts_with(' ')) return piece;
    text_.assign(" ").append(piece.text);
    return {text_, piece.at_start};
  }

 private:
  std::string text_;
};

class ByteSpellingSource : public RewritingSource {
 protected:
  TextPiece Rewrite(TextPiece piece) override {
    text_ = SpellBytes(piece.text);
    return {text_, piece.at_start};
  }

 private:
  std::string text_;
};

class OnePieceSource : public RewritingSource {
 protected:
  TextPiece Rewrite(TextPiece piece) override { return piece; }
};

class ChainSource : public PieceSource {
 public:
  ChainSource(std::unique_ptr<PieceSource> first, std::unique_ptr<PieceSource> second)
      : first_(std::move(first)), second_(std::move(second)) {}

  void Start(TextPiece piece) override {
    first_->Start(piece);
    is_started_ = false;
  }
  bool Next(TextPiece* piece) override {
    for (;;) {
      if (is_started_ && second_->Next(piece)) return true;
      TextPiece next;
      if (!first_->Next(&next)) return false;
      second_->Start(next);
      is_started_ = true;
    }
  }

 private:
  const std::unique_ptr<PieceSource> first_, second_;
  bool is_started_ = false;  // the second, on a piece of the first
};

}  // namespace

PreTokenizer SplitPreTokenizer(SpanPattern pattern, SplitBehavior behavior, bool invert) {
  return [pattern = std::move(pattern), behavior, invert] {
    return std::make_unique<SplitSource>(pattern(), behavior, invert);
  };
}

PreTokenizer SpaceReplacingPreTokenizer(std::string replacement, PrependScheme scheme) {
  return [replacement = std::move(replacement), scheme] {
    return std::make_unique<SpaceReplacingSource>(replacement, scheme);
  };
}

PreTokenizer PrefixSpacePreTokenizer() {
  return [] { return std::make_unique<PrefixSpaceSource>(); };
}

PreTokenizer ByteSpellingPreTokenizer() {
  return [] { return std::make_unique<ByteSpellingSource>(); };
}

std::unique_ptr<PieceSource> ChainOf(const std::vector<PreTokenizer>& pre_tokenizers) {
  std::unique_ptr<PieceSource> chain;
  for (const PreTokenizer& pre_tokenizer : pre_tokenizers) {
    chain = chain == nullptr ? pre_tokenizer()
                             : std::make_unique<ChainSource>(std::move(chain), pre_tokenizer());
  }
  return chain == nullptr ? std::make_unique<OnePieceSource>() : std::move(chain);
}

}  // namespace halcyon::pipeline
