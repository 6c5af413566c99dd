#include "pipeline/tokenizer/models/bpe_model.h"

#include "pipeline/tokenizer/merge_table.h"
#include "pipeline/tokenizer/piece_merger.h"
#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

struct BpeModel : Model {
  TokenIds tokens;
  MergeTable merges;
  BpeOptions options;

  std::unique_ptr<PieceEncoder> NewEncoder() const override;
};

class BpePieceEncoder : public PieceEncoder {
 public:
  explicit BpePieceEncoder(const BpeModel* model) : model_(*model), merger_(&model->merges) {}

  void Encode(std::string_view piece, std::vector<uint32_t>* ids) override {
    if (model_.options.ignore_merges) {
      if (const auto whole = FindToken(model_.tokens, piece)) return ids->push_back(*whole);
    }
    symbols_.clear();
    has_unknown_ = false;
    for (size_t at = 0; at < piece.size();) {
      const size_t begin = at;
      NextCodePoint(piece, &at);
      AddCharacter(piece.substr(begin, at - begin), begin == 0, at == piece.size());
    }
    FlushUnknown();
    merger_.Merge(symbols_, ids);
  }

 private:
  void AddCharacter(std::string_view character, bool is_first, bool is_last) {
    const BpeOptions& options = model_.options;
    symbol_.assign(is_first ? "" : options.continuing_prefix).append(character);
    if (is_last) symbol_ += options.end_suffix;
    if (const auto id = FindToken(model_.tokens, symbol_)) {
      FlushUnknown();
      symbols_.push_back(*id);
      return;
    }
    // The unknown token that is still held back comes after these bytes, as in the reference.
    if (options.byte_fallback && AppendByteTokens(model_.tokens, symbol_, &symbols_)) return;
    if (!options.unknown) return;
    if (!options.fuse_unknown) FlushUnknown();
    has_unknown_ = true;
  }

  void FlushUnknown() {
    if (has_unknown_) symbols_.push_back(*model_.options.unknown);
    has_unknown_ = false;
  }

  const BpeModel& model_;
  PieceMerger merger_;
  std::vector<uint32_t> symbols_;
  std::string symbol_;
  bool has_unknown_ = false;
};

std::unique_ptr<PieceEncoder> BpeModel::NewEncoder() const {
  return std::make_unique<BpePieceEncoder>(this);
}

}  // namespace

absl::StatusOr<std::unique_ptr<const Model>> MakeBpeModel(TokenIds tokens,
                                                          const std::vector<TokenPair>& merges,
                                                          BpeOptions options) {
  auto model = std::make_unique<BpeModel>();
  model->merges.Reserve(merges.size());
  for (uint32_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    const size_t prefix = options.continuing_prefix.size();
    const auto a = FindToken(tokens, left), b = FindToken(tokens, right);
    const auto result =
        right.size() < prefix ? std::nullopt : FindToken(tokens, left + right.substr(prefix));
    const std::string where = "merges[" + std::to_string(rank) + "]: ";
    if (!a || !b || !result) return InvalidArgument(where + "not two tokens that join to a token");
    if (!model->merges.Add(*a, *b, {rank, *result})) {
      return InvalidArgument(where + "was given before");
    }
  }
  model->tokens = std::move(tokens);
  model->options = std::move(options);
  return model;
}

}  // namespace halcyon::pipeline
