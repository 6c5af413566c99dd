#include "pipeline/tokenizer/sentencepiece/model_file.h"

#include <cmath>
#include <set>

#include "pipeline/tokenizer/models/model.h"
#include "pipeline/tokenizer/sentencepiece/wire_reader.h"
#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

using WireType = WireField::Type;

absl::StatusOr<SentencePieceModel::Piece> ReadPiece(std::string_view message) {
  SentencePieceModel::Piece piece;
  RETURN_IF_ERROR(ForEachField(message, [&](const WireField& field) {
    if (field.number == 1 && field.type == WireType::kBytes) piece.text = field.bytes;
    if (field.number == 2 && field.type == WireType::kFixed32) piece.score = field.AsFloat();
    if (field.number == 3 && field.type == WireType::kVarint) {
      if (field.value < 1 || field.value > 6) return InvalidArgument("a piece of no known type");
      piece.type = static_cast<SentencePieceType>(field.value);
    }
    return absl::OkStatus();
  }));
  return piece;
}

absl::Status ReadTrainerSpec(std::string_view message, SentencePieceModel* model) {
  return ForEachField(message, [&](const WireField& field) {
    const bool is_text = field.type == WireType::kBytes;
    if (field.number == 3) model->kind = static_cast<SentencePieceModel::Kind>(field.value);
    if (field.number == 24) model->space_as_suffix = field.value != 0;
    if (field.number == 35) model->byte_fallback = field.value != 0;
    if (field.number == 44 && is_text) model->unknown_surface = field.bytes;
    if (field.number == 47 && is_text && !field.bytes.empty()) model->end_piece = field.bytes;
    if (field.number == 48 && is_text && !field.bytes.empty()) model->padding_piece = field.bytes;
    return absl::OkStatus();
  });
}

absl::Status ReadNormalizerSpec(std::string_view message, SentencePieceModel* model) {
  return ForEachField(message, [&](const WireField& field) {
    if (field.number == 2 && field.type == WireType::kBytes) model->charsmap = field.bytes;
    if (field.number == 3) model->add_dummy_prefix = field.value != 0;
    if (field.number == 4) model->remove_extra_spaces = field.value != 0;
    if (field.number == 5) model->escape_spaces = field.value != 0;
    return absl::OkStatus();
  });
}

absl::Status CheckDenormalizer(std::string_view message) {
  return ForEachField(message, [](const WireField& field) {
    return field.number == 2 && !field.bytes.empty()
               ? InvalidArgument("denormalizer_spec.precompiled_charsmap is not supported")
               : absl::OkStatus();
  });
}

absl::Status CheckPieces(const SentencePieceModel& model) {
  std::set<std::string_view> texts;
  std::set<std::string> bytes;
  int unknowns = 0;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const SentencePieceModel::Piece& piece = model.pieces[id];
    const std::string where = "piece " + std::to_string(id);
    if (piece.text.empty() || !IsValidUtf8(piece.text)) return InvalidArgument(where + ": no text");
    if (!texts.insert(piece.text).second) return InvalidArgument(where + ": was given before");
    if (!std::isfinite(piece.score)) return InvalidArgument(where + ": its score is no number");
    unknowns += piece.type == SentencePieceType::kUnknown;
    if (piece.type == SentencePieceType::kByte) bytes.insert(piece.text);
  }
  if (unknowns > 1 || (unknowns == 0 && !model.byte_fallback)) {
    return InvalidArgument("there must be one piece of the type unknown");
  }
  if (!bytes.empty() && !model.byte_fallback) {
    return InvalidArgument("there are byte pieces, but byte_fallback is off");
  }
  for (int byte = 0; model.byte_fallback && byte < 256; ++byte) {
    if (bytes.erase(ByteToken(static_cast<uint8_t>(byte))) == 0) {
      return InvalidArgument("byte_fallback without a piece for the byte " + std::to_string(byte));
    }
  }
  return bytes.empty() ? absl::OkStatus() : InvalidArgument("a byte piece of no byte");
}

}  // namespace

absl::StatusOr<SentencePieceModel> ReadSentencePieceModel(std::string_view bytes) {
  SentencePieceModel model;
  RETURN_IF_ERROR(ForEachField(bytes, [&](const WireField& field) -> absl::Status {
    if (field.type != WireType::kBytes) return absl::OkStatus();
    if (field.number == 1) {
      ASSIGN_OR_RETURN(SentencePieceModel::Piece piece, ReadPiece(field.bytes));
      model.pieces.push_back(std::move(piece));
    }
    if (field.number == 2) return ReadTrainerSpec(field.bytes, &model);
    if (field.number == 3) return ReadNormalizerSpec(field.bytes, &model);
    if (field.number == 5) return CheckDenormalizer(field.bytes);
    return absl::OkStatus();
  }));
  if (model.kind != SentencePieceModel::Kind::kUnigram &&
      model.kind != SentencePieceModel::Kind::kBpe) {
    return InvalidArgument("trainer_spec.model_type: neither UNIGRAM nor BPE is not supported");
  }
  RETURN_IF_ERROR(CheckPieces(model));
  return model;
}

}  // namespace halcyon::pipeline
