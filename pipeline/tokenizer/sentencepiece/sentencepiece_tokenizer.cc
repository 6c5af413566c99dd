#include "pipeline/tokenizer/sentencepiece/sentencepiece_tokenizer.h"

#include <array>
#include <utility>

#include "base/check.h"
#include "pipeline/tokenizer/encodable_tokenizer.h"
#include "pipeline/tokenizer/sentencepiece/charsmap.h"
#include "pipeline/tokenizer/sentencepiece/sentencepiece_encoders.h"
#include "pipeline/tokenizer/special_names.h"
#include "pipeline/tokenizer/stored_json.h"
#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

using PieceType = SentencePieceType;

class SentencePieceTokenizer : public EncodableTokenizer,
                               public std::enable_shared_from_this<SentencePieceTokenizer> {
 public:
  static absl::StatusOr<std::shared_ptr<const Tokenizer>> Create(std::string_view file) {
    ASSIGN_OR_RETURN(SentencePieceModel model, ReadSentencePieceModel(file));
    ASSIGN_OR_RETURN(SentencePieceNormalizer normalizer, SentencePieceNormalizer::Create(model));
    std::shared_ptr<SentencePieceTokenizer> tokenizer(
        new SentencePieceTokenizer(std::string(file), std::move(model), std::move(normalizer)));
    RETURN_IF_ERROR(tokenizer->Index());
    return std::shared_ptr<const Tokenizer>(std::move(tokenizer));
  }

  uint32_t vocab_size() const override { return static_cast<uint32_t>(pieces().size()); }
  uint32_t end_of_text() const override { return specials_.end_of_text; }
  uint32_t padding() const override { return specials_.padding; }
  std::string_view Bytes(uint32_t id) const override {
    HALCYON_CHECK(id < vocab_size());
    return bytes_[id];
  }
  absl::StatusOr<std::string> Decode(std::span<const uint32_t> ids, bool) const override;
  std::string ToJson() const override { return StoreSentencePiece(file_); }
  std::unique_ptr<Encoder> NewEncoder() const override;

  const SentencePieceTables& tables() const { return tables_; }
  const SentencePieceNormalizer& normalizer() const { return normalizer_; }
  uint32_t IdOfByte(char byte) const { return id_of_byte_[static_cast<uint8_t>(byte)]; }

 private:
  SentencePieceTokenizer(std::string file, SentencePieceModel model,
                         SentencePieceNormalizer normalizer)
      : file_(std::move(file)), tables_(std::move(model)), normalizer_(std::move(normalizer)) {}

  const std::vector<SentencePieceModel::Piece>& pieces() const { return tables_.model.pieces; }
  absl::Status Index();

  const std::string file_;
  const SentencePieceTables tables_;
  const SentencePieceNormalizer normalizer_;
  SpecialTokens specials_;
  std::vector<std::string> bytes_;  // by id
  std::array<uint32_t, 256> id_of_byte_{};
};

std::string WithSpaces(std::string_view piece) {
  std::string out;
  while (!piece.empty()) {
    const bool is_space = piece.starts_with(kSpaceSymbol);
    out += is_space ? ' ' : piece[0];
    piece.remove_prefix(is_space ? kSpaceSymbol.size() : 1);
  }
  return out;
}

class SentencePieceEncoder : public Encoder {
 public:
  explicit SentencePieceEncoder(std::shared_ptr<const SentencePieceTokenizer> tokenizer)
      : tokenizer_(std::move(tokenizer)), segmenter_(NewSegmenter(&tokenizer_->tables())) {}

  void Encode(std::string_view text, std::vector<uint32_t>* ids) override {
    const SentencePieceTables& tables = tokenizer_->tables();
    const std::string normalized = tokenizer_->normalizer().Normalize(text, tables.user_defined);
    if (normalized.empty()) return;
    pieces_.clear();
    segmenter_->Segment(normalized, &pieces_);
    bool after_unknown = false;
    for (const SegmentedPiece& piece : pieces_) {
      const bool is_unknown = piece.id == tables.unknown;
      if (is_unknown && tables.model.byte_fallback) {
        for (const char byte : piece.text) ids->push_back(tokenizer_->IdOfByte(byte));
      } else if (!is_unknown || !after_unknown) {  // one for a run of unknown characters
        ids->push_back(piece.id);
      }
      after_unknown = is_unknown;
    }
  }

 private:
  const std::shared_ptr<const SentencePieceTokenizer> tokenizer_;
  const std::unique_ptr<Segmenter> segmenter_;
  std::vector<SegmentedPiece> pieces_;
};

absl::Status SentencePieceTokenizer::Index() {
  std::vector<std::string> names;
  std::vector<bool> special;
  for (uint32_t id = 0; id < vocab_size(); ++id) {
    const auto& [text, score, type] = pieces()[id];
    // The names of the model's own take the place of those that are looked for.
    names.emplace_back(text == tables_.model.end_piece       ? kEndOfText
                       : text == tables_.model.padding_piece ? kPadding
                                                             : std::string_view(text));
    special.push_back(type == PieceType::kControl);
    if (type == PieceType::kByte) {
      const auto byte = static_cast<uint8_t>(std::stoi(text.substr(3, 2), nullptr, 16));
      id_of_byte_[byte] = id;
      bytes_.emplace_back(1, static_cast<char>(byte));
    } else if (type == PieceType::kUnknown) {
      bytes_.push_back(tables_.model.unknown_surface);
    } else {
      bytes_.push_back(type == PieceType::kControl ? text : WithSpaces(text));
    }
  }
  ASSIGN_OR_RETURN(specials_, ChooseSpecialTokens(names, special));
  return absl::OkStatus();
}

// Bytes that are no character become a U+FFFD each.
void AppendRepaired(std::string_view bytes, std::string* text) {
  while (!bytes.empty()) {
    const size_t valid = std::min(FirstInvalidUtf8(bytes), bytes.size());
    *text += bytes.substr(0, valid);
    bytes.remove_prefix(valid);
    if (bytes.empty()) return;
    *text += "\uFFFD";
    bytes.remove_prefix(1);
  }
}

absl::StatusOr<std::string> SentencePieceTokenizer::Decode(std::span<const uint32_t> ids,
                                                           bool) const {
  const SentencePieceModel& model = tables_.model;
  std::string text, run;  // of byte pieces
  bool is_first = true;   // the space that was put before the text may still come
  bool took_space = false;
  for (size_t i = 0; i < ids.size(); ++i) {
    RETURN_IF_ERROR(CheckId(ids[i], i));
    const SentencePieceModel::Piece& piece = pieces()[ids[i]];
    if (piece.type == PieceType::kByte) {
      run += bytes_[ids[i]];
      continue;
    }
    AppendRepaired(std::exchange(run, {}), &text);
    if (took_space || !text.empty()) is_first = false;
    took_space = false;
    if (piece.type == PieceType::kControl) continue;
    std::string_view added = bytes_[ids[i]];
    if (piece.type != PieceType::kUnknown && is_first && piece.text.starts_with(kSpaceSymbol) &&
        (model.add_dummy_prefix || model.remove_extra_spaces)) {
      added.remove_prefix(1);
      took_space = !model.remove_extra_spaces;  // else all spaces at the start are left out
    }
    text += added;
  }
  AppendRepaired(run, &text);
  return text;
}

std::unique_ptr<Encoder> SentencePieceTokenizer::NewEncoder() const {
  return std::make_unique<SentencePieceEncoder>(shared_from_this());
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Tokenizer>> ReadSentencePiece(std::string_view bytes) {
  return SentencePieceTokenizer::Create(bytes);
}

}  // namespace halcyon::pipeline
