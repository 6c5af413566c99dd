// Cuts text into the pieces that byte-pair merges never cross, by a regular expression (PCRE2).
#ifndef HALCYON_PIPELINE_TOKENIZER_SPLIT_PATTERN_H_
#define HALCYON_PIPELINE_TOKENIZER_SPLIT_PATTERN_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "pipeline/tokenizer/regex_translation.h"
#include "pipeline/tokenizer/spans.h"

namespace halcyon::pipeline {

// "gpt2" for r50k_base and p50k_base, "cl100k" and "o200k" for the names that end with _base; any
// other name as it is.
std::string CanonicalPatternName(std::string_view name);

// The expression of "gpt2", "llama3", "cl100k" or "o200k", also by another name of theirs.
// kInvalidArgument lists the names.
absl::StatusOr<std::string> PatternByName(std::string_view name);

// A compiled expression. Immutable; thread-safe.
class SplitPattern {
 public:
  // kInvalidArgument: a syntax error, or a construct that other tokenizer libraries read
  // differently from PCRE2.
  static absl::StatusOr<std::shared_ptr<const SplitPattern>> Compile(
      const std::string& regex, RegexDialect dialect = RegexDialect::kOniguruma);
  ~SplitPattern();

  const std::string& regex() const { return regex_; }

 private:
  friend class PieceSplitter;
  struct Code;
  SplitPattern(std::string regex, std::unique_ptr<Code> code);

  std::string regex_;
  std::unique_ptr<Code> code_;
};

// Where the expression exhausts the matcher's memory, the rest of a text is no match; the four
// named ones cannot.
class PieceSplitter final : public SpanSource {
 public:
  explicit PieceSplitter(std::shared_ptr<const SplitPattern> pattern);
  ~PieceSplitter() override;

  void Start(std::string_view text) override;
  bool NextSpan(Span* span) override;
  // The spans that are not empty.
  bool Next(std::string_view* piece);

 private:
  struct State;
  bool FindMatch();

  std::shared_ptr<const SplitPattern> pattern_;
  std::unique_ptr<State> state_;
  std::string_view text_;
  size_t at_ = 0;    // the text before it has been returned
  size_t from_ = 0;  // where the next match is looked for; beyond the text: no more
  bool has_match_ = false;
  size_t match_begin_ = 0;
  size_t match_end_ = 0;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_SPLIT_PATTERN_H_
