// Where a pattern matches in a text. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_SPANS_H_
#define HALCYON_PIPELINE_TOKENIZER_SPANS_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "pipeline/tokenizer/unicode/code_point_set.h"

namespace halcyon::pipeline {

// A part of a text, the whole of which is such parts.
struct Span {
  size_t begin = 0, end = 0;
  bool is_match = false;
};

// Walks over the matches in a text and what lies between them. Not thread-safe.
class SpanSource {
 public:
  virtual ~SpanSource() = default;
  // REQUIRES: `text` is valid UTF-8 and lives until the last NextSpan.
  virtual void Start(std::string_view text) = 0;
  // False at the end of the text. A match may be empty, but not where the match before it ends.
  virtual bool NextSpan(Span* span) = 0;
  // As many calls of NextSpan as give a span, at most `count_max`; returns their number.
  virtual size_t NextSpans(Span* spans, size_t count_max);
};

// Makes a source for one thread. Itself immutable and thread-safe, as are the others below.
using SpanPattern = std::function<std::unique_ptr<SpanSource>()>;

// REQUIRES: not empty.
SpanPattern MatchesOf(std::string literal);
// Each code point of the set is a match of its own. REQUIRES: the set outlives the sources.
SpanPattern MatchesOf(const CodePointSet& set);
// Runs of \w, and runs of what is neither \w nor white space: the expression \w+|[^\w\s]+.
SpanPattern Words();

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_SPANS_H_
