// Cuts text into the pieces that byte-pair merges never cross, by a regular expression (PCRE2).
//
// Unicode properties are those of Debian 12's PCRE2 (Unicode 14): characters assigned later count
// as unassigned, so pieces around them may differ from a library with newer tables.
#ifndef HALCYON_PIPELINE_TOKENIZER_SPLIT_PATTERN_H_
#define HALCYON_PIPELINE_TOKENIZER_SPLIT_PATTERN_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace halcyon::pipeline {

// The expression of "gpt2", "llama3", "cl100k" or "o200k". kInvalidArgument lists the names.
absl::StatusOr<std::string> PatternByName(std::string_view name);

// A compiled expression. Immutable; thread-safe.
class SplitPattern {
 public:
  // kInvalidArgument: a syntax error, or a construct that other tokenizer libraries read
  // differently from PCRE2.
  static absl::StatusOr<std::shared_ptr<const SplitPattern>> Compile(const std::string& regex);
  ~SplitPattern();

  const std::string& regex() const { return regex_; }

 private:
  friend class PieceSplitter;
  struct Code;
  SplitPattern(std::string regex, std::unique_ptr<Code> code);

  std::string regex_;
  std::unique_ptr<Code> code_;
};

// Walks over the pieces of a text: the matches, and the text between matches. Together they are the
// whole text. Where the expression exhausts the matcher's memory, the rest is one piece; the four
// named ones cannot. Not thread-safe.
class PieceSplitter {
 public:
  explicit PieceSplitter(std::shared_ptr<const SplitPattern> pattern);
  ~PieceSplitter();

  // REQUIRES: `text` is valid UTF-8 and lives until the last Next.
  void Start(std::string_view text);
  // False at the end of the text. Pieces are never empty.
  bool Next(std::string_view* piece);

 private:
  struct State;
  void FindMatch();

  std::shared_ptr<const SplitPattern> pattern_;
  std::unique_ptr<State> state_;
  std::string_view text_;
  size_t at_ = 0;  // the text before it has been returned
  size_t match_begin_ = 0;
  size_t match_end_ = 0;  // <= at_: the next match is not known yet
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_SPLIT_PATTERN_H_
