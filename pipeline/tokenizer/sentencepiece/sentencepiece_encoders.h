// The two models of SentencePiece, as its version 0.2.3 computes them. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_SENTENCEPIECE_SENTENCEPIECE_ENCODERS_H_
#define HALCYON_PIPELINE_TOKENIZER_SENTENCEPIECE_SENTENCEPIECE_ENCODERS_H_

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "pipeline/tokenizer/byte_trie.h"
#include "pipeline/tokenizer/models/model.h"
#include "pipeline/tokenizer/sentencepiece/model_file.h"

namespace halcyon::pipeline {

// The unknown piece, where a model has none of its own: its bytes stand for it.
inline constexpr uint32_t kNoUnknown = 0xFFFFFFFF;

// What the encoders look up. Immutable; thread-safe.
struct SentencePieceTables {
  explicit SentencePieceTables(SentencePieceModel read);

  bool InText(uint32_t id) const;  // normal, user-defined or unused: what text may become

  SentencePieceModel model;
  uint32_t unknown = kNoUnknown;
  TokenIds ids;           // of the pieces that text may become
  size_t bytes_max = 0;   // of those
  ByteTrie trie;          // the same
  ByteTrie user_defined;  // alone
  float worst_score = 0;  // of the normal pieces
};

struct SegmentedPiece {
  std::string_view text;
  uint32_t id;
};

// Not thread-safe. Appends the pieces of a normalized text.
class Segmenter {
 public:
  virtual ~Segmenter() = default;
  virtual void Segment(std::string_view text, std::vector<SegmentedPiece>* pieces) = 0;
};

// REQUIRES: the tables outlive it.
std::unique_ptr<Segmenter> NewSegmenter(const SentencePieceTables* tables);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_SENTENCEPIECE_SENTENCEPIECE_ENCODERS_H_
