// The pre-tokenizers of tokenizer.json: a text to the pieces that tokens do not cross. Internal to
// pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_PRE_TOKENIZERS_H_
#define HALCYON_PIPELINE_TOKENIZER_PRE_TOKENIZERS_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/tokenizer/spans.h"

namespace halcyon::pipeline {

struct TextPiece {
  std::string_view text;
  bool at_start = false;  // it begins where the document begins
};

// The pieces of a piece, one after another. Not thread-safe.
class PieceSource {
 public:
  virtual ~PieceSource() = default;
  // REQUIRES: the text is valid UTF-8 and lives until the last Next.
  virtual void Start(TextPiece piece) = 0;
  // False after the last. A piece is never empty and lives until Start.
  virtual bool Next(TextPiece* piece) = 0;
};

// Makes a source for one thread. Itself immutable and thread-safe.
using PreTokenizer = std::function<std::unique_ptr<PieceSource>()>;

// What becomes of the matches.
enum class SplitBehavior {
  kRemoved,
  kIsolated,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous,
};

// `invert`: what lies between the matches counts as matches.
PreTokenizer SplitPreTokenizer(SpanPattern pattern, SplitBehavior behavior, bool invert);

enum class PrependScheme { kAlways, kFirst, kNever };

// Spaces become `replacement`, which is put before a piece that does not begin with it: before
// every one, or one at the start of a document. Splits nothing.
PreTokenizer SpaceReplacingPreTokenizer(std::string replacement, PrependScheme scheme);

// A space before a piece that does not begin with one.
PreTokenizer PrefixSpacePreTokenizer();

// The bytes as they are spelt in byte_alphabet.h.
PreTokenizer ByteSpellingPreTokenizer();

// Each on the pieces of the one before; without any, the text is one piece.
std::unique_ptr<PieceSource> ChainOf(const std::vector<PreTokenizer>& pre_tokenizers);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_PRE_TOKENIZERS_H_
