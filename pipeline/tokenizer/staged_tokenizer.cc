#include "pipeline/tokenizer/staged_tokenizer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "pipeline/tokenizer/piece_cache.h"

namespace halcyon::pipeline {

class StagedEncoder : public Encoder {
 public:
  explicit StagedEncoder(std::shared_ptr<const StagedTokenizer> tokenizer)
      : tokenizer_(std::move(tokenizer)),
        pieces_(ChainOf(tokenizer_->stages_.pre_tokenizers)),
        model_(tokenizer_->stages_.model->NewEncoder()) {}

  void Encode(std::string_view text, std::vector<uint32_t>* ids) override {
    std::vector<TextPart> parts, normalized_parts;
    tokenizer_->in_original_.Split(text, &parts);
    for (const TextPart& part : parts) {
      if (part.id) {
        ids->push_back(*part.id);
        continue;
      }
      const bool at_start = part.text.data() == text.data();
      const auto& normalizers = tokenizer_->stages_.normalizers;
      std::string normalized;
      std::string_view searched = part.text;
      if (!normalizers.empty()) searched = normalized = NormalizeBy(normalizers, part.text);
      normalized_parts.clear();
      tokenizer_->in_normalized_.Split(searched, &normalized_parts);
      for (const TextPart& one : normalized_parts) {
        if (one.id) {
          ids->push_back(*one.id);
        } else {
          EncodePart({one.text, at_start && one.text.data() == searched.data()}, ids);
        }
      }
    }
  }

 private:
  void EncodePart(TextPiece part, std::vector<uint32_t>* ids) {
    pieces_->Start(part);
    for (TextPiece piece; pieces_->Next(&piece);) {
      cache_.Encode(piece.text, ids, [this](std::string_view text, std::vector<uint32_t>* out) {
        model_->Encode(text, out);
      });
    }
  }

  const std::shared_ptr<const StagedTokenizer> tokenizer_;
  const std::unique_ptr<PieceSource> pieces_;
  const std::unique_ptr<PieceEncoder> model_;
  PieceCache cache_;
};

absl::StatusOr<std::shared_ptr<const StagedTokenizer>> StagedTokenizer::Create(
    TokenizerStages stages) {
  HALCYON_CHECK(stages.tokens.size() == stages.special.size() && stages.model != nullptr);
  std::shared_ptr<StagedTokenizer> tokenizer(new StagedTokenizer(std::move(stages)));
  const TokenizerStages& own = tokenizer->stages_;
  tokenizer->decoder_tokens_ = own.tokens;
  std::vector<std::pair<std::string, AddedToken>> in_original, in_normalized;
  for (const AddedToken& token : own.added) {
    if (!token.normalized) {
      in_original.emplace_back(token.content, token);
      continue;
    }
    const std::string look = NormalizeBy(own.normalizers, token.content);
    in_normalized.emplace_back(look, token);
    tokenizer->decoder_tokens_[token.id] = look;
  }
  ASSIGN_OR_RETURN(tokenizer->in_original_, AddedTokenMatcher::Create(in_original), "added_tokens");
  ASSIGN_OR_RETURN(tokenizer->in_normalized_, AddedTokenMatcher::Create(in_normalized),
                   "added_tokens");
  // What a token adds to a text, seen behind another one: decoders treat the first apart.
  const size_t before = tokenizer->Join({"a"}).size();
  for (uint32_t id = 0; id < own.tokens.size(); ++id) {
    if (own.special[id]) {
      tokenizer->bytes_.push_back(own.tokens[id]);
      continue;
    }
    if (!tokenizer->Has(id)) {
      tokenizer->bytes_.emplace_back();
      continue;
    }
    const std::string text = tokenizer->Join({"a", tokenizer->decoder_tokens_[id]});
    tokenizer->bytes_.push_back(text.substr(std::min(before, text.size())));
  }
  return tokenizer;
}

std::string StagedTokenizer::Join(std::vector<std::string> tokens) const {
  for (const Decoder& decoder : stages_.decoders) decoder(&tokens);
  std::string text;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) text += stages_.separator;
    text += tokens[i];
  }
  return text;
}

std::string_view StagedTokenizer::Bytes(uint32_t id) const {
  HALCYON_CHECK(id < vocab_size());
  return bytes_[id];
}

absl::StatusOr<std::string> StagedTokenizer::Decode(std::span<const uint32_t> ids,
                                                    bool keep_special) const {
  std::vector<std::string> tokens;
  for (size_t i = 0; i < ids.size(); ++i) {
    RETURN_IF_ERROR(CheckId(ids[i], i));
    if (!Has(ids[i])) continue;
    if (!stages_.special[ids[i]] || keep_special) tokens.push_back(decoder_tokens_[ids[i]]);
  }
  return Join(std::move(tokens));
}

std::unique_ptr<Encoder> StagedTokenizer::NewEncoder() const {
  return std::make_unique<StagedEncoder>(shared_from_this());
}

}  // namespace halcyon::pipeline
