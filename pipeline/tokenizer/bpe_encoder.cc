#include <array>
#include <utility>

#include "pipeline/tokenizer/bpe_tokenizer.h"
#include "pipeline/tokenizer/piece_cache.h"
#include "pipeline/tokenizer/piece_merger.h"

namespace halcyon::pipeline {
namespace {

class ByteBpeEncoder : public Encoder {
 public:
  explicit ByteBpeEncoder(std::shared_ptr<const BpeTokenizer> tokenizer)
      : tokenizer_(std::move(tokenizer)),
        spans_(tokenizer_->pattern()()),
        merger_(&tokenizer_->merges()) {}

  void Encode(std::string_view text, std::vector<uint32_t>* ids) override {
    spans_->Start(text);
    std::array<Span, PieceCache::kSpansMax> spans;
    for (size_t count = spans.size(); count == spans.size();) {
      count = spans_->NextSpans(spans.data(), spans.size());
      cache_.Encode(
          text, {spans.data(), count}, ids,
          [this](std::string_view piece, std::vector<uint32_t>* out) { EncodePiece(piece, out); });
    }
  }

 private:
  void EncodePiece(std::string_view piece, std::vector<uint32_t>* ids) {
    if (const uint32_t* whole = tokenizer_->FindWhole(piece)) {
      ids->push_back(*whole);
      return;
    }
    symbols_.resize(piece.size());
    for (size_t i = 0; i < piece.size(); ++i) {
      symbols_[i] = tokenizer_->IdOfByte(static_cast<uint8_t>(piece[i]));
    }
    merger_.Merge(symbols_, ids);
  }

  std::shared_ptr<const BpeTokenizer> tokenizer_;
  std::unique_ptr<SpanSource> spans_;
  PieceMerger merger_;
  std::vector<uint32_t> symbols_;
  PieceCache cache_;
};

}  // namespace

std::unique_ptr<Encoder> BpeTokenizer::NewEncoder() const {
  return std::make_unique<ByteBpeEncoder>(shared_from_this());
}

}  // namespace halcyon::pipeline
