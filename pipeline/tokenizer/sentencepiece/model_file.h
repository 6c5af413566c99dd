// A SentencePiece model file (sentencepiece_model.proto). Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_SENTENCEPIECE_MODEL_FILE_H_
#define HALCYON_PIPELINE_TOKENIZER_SENTENCEPIECE_MODEL_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace halcyon::pipeline {

// The numbers are those of the file.
enum class SentencePieceType {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

struct SentencePieceModel {
  struct Piece {
    std::string text;
    float score = 0;
    SentencePieceType type = SentencePieceType::kNormal;
  };
  enum class Kind { kUnigram = 1, kBpe = 2, kWord = 3, kCharacter = 4 };

  std::vector<Piece> pieces;  // by id
  Kind kind = Kind::kUnigram;
  bool byte_fallback = false;
  bool space_as_suffix = false;
  std::string end_piece = "</s>", padding_piece = "<pad>";
  std::string unknown_surface = " \u2047 ";
  std::string charsmap;  // the rules of normalization, compiled
  bool add_dummy_prefix = true;
  bool remove_extra_spaces = true;
  bool escape_spaces = true;
};

// kInvalidArgument: no such file, or one that the reference refuses, or a feature that is not
// supported, by its name.
absl::StatusOr<SentencePieceModel> ReadSentencePieceModel(std::string_view bytes);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_SENTENCEPIECE_MODEL_FILE_H_
