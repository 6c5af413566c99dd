#include "pipeline/tokenizer/models/word_piece_model.h"

#include "pipeline/tokenizer/byte_trie.h"
#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

struct WordPieceModel : Model {
  ByteTrie first, continuing;
  WordPieceOptions options;

  std::unique_ptr<PieceEncoder> NewEncoder() const override;
};

class WordPieceEncoder : public PieceEncoder {
 public:
  explicit WordPieceEncoder(const WordPieceModel* model) : model_(*model) {}

  void Encode(std::string_view piece, std::vector<uint32_t>* ids) override {
    const size_t before = ids->size();
    bool is_known = Characters(piece) <= model_.options.characters_max;
    for (size_t at = 0; is_known && at < piece.size();) {
      const auto longest =
          (at == 0 ? model_.first : model_.continuing).LongestPrefix(piece.substr(at));
      is_known = longest.has_value();
      if (!is_known) break;
      ids->push_back(longest->value);
      at += longest->bytes;
    }
    if (is_known) return;
    ids->resize(before);
    ids->push_back(model_.options.unknown);
  }

 private:
  static uint64_t Characters(std::string_view text) {
    uint64_t count = 0;
    for (size_t at = 0; at < text.size(); ++count) NextCodePoint(text, &at);
    return count;
  }

  const WordPieceModel& model_;
};

std::unique_ptr<PieceEncoder> WordPieceModel::NewEncoder() const {
  return std::make_unique<WordPieceEncoder>(this);
}

}  // namespace

std::unique_ptr<const Model> MakeWordPieceModel(const TokenIds& tokens,
                                                const WordPieceOptions& options) {
  auto model = std::make_unique<WordPieceModel>();
  std::vector<std::pair<std::string, uint32_t>> first, continuing;
  const size_t prefix = options.continuing_prefix.size();
  for (const auto& [token, id] : tokens) {
    if (token.empty()) continue;
    first.emplace_back(token, id);
    if (token.size() > prefix && token.starts_with(options.continuing_prefix)) {
      continuing.emplace_back(token.substr(prefix), id);
    }
  }
  model->first = ByteTrie(std::move(first));
  model->continuing = ByteTrie(std::move(continuing));
  model->options = options;
  return model;
}

}  // namespace halcyon::pipeline
