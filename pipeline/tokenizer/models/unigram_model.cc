#include "pipeline/tokenizer/models/unigram_model.h"

#include <algorithm>
#include <limits>

#include "pipeline/tokenizer/byte_trie.h"
#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

// How much less than the worst token an unknown character scores.
constexpr double kUnknownPenalty = 10;

struct UnigramModel : Model {
  TokenIds tokens;
  ByteTrie trie;
  std::vector<double> scores;  // by id
  double unknown_score = 0;
  uint32_t unknown = 0;
  bool byte_fallback = false;

  std::unique_ptr<PieceEncoder> NewEncoder() const override;
};

class UnigramPieceEncoder : public PieceEncoder {
 public:
  explicit UnigramPieceEncoder(const UnigramModel* model) : model_(*model) {}

  void Encode(std::string_view piece, std::vector<uint32_t>* ids) override {
    FindBestPath(piece);
    steps_.clear();
    for (size_t end = piece.size(); end > 0; end = ends_[end].begin) steps_.push_back(end);
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      const Best& best = ends_[*step];
      if (best.id != model_.unknown) {
        ids->push_back(best.id);
        continue;
      }
      size_t end = *step;
      while (std::next(step) != steps_.rend() && ends_[*std::next(step)].id == model_.unknown) {
        end = *++step;
      }
      AppendUnknown(piece.substr(best.begin, end - best.begin), ids);
    }
  }

 private:
  struct Best {  // of the ways to a place
    double score = 0;
    size_t begin = kNowhere;  // of the last token; kNowhere: there is no way yet
    uint32_t id = 0;
  };
  static constexpr size_t kNowhere = std::numeric_limits<size_t>::max();

  void Improve(size_t end, const Best& way) {
    if (ends_[end].begin == kNowhere || way.score > ends_[end].score) ends_[end] = way;
  }

  void FindBestPath(std::string_view piece) {
    ends_.assign(piece.size() + 1, {});
    for (size_t begin = 0, next = 0; begin < piece.size(); begin = next) {
      NextCodePoint(piece, &next);
      const double score = ends_[begin].score;
      bool is_known = false;
      model_.trie.ForEachPrefix(piece.substr(begin), [&](ByteTrie::Match match) {
        Improve(begin + match.bytes, {score + model_.scores[match.value], begin, match.value});
        is_known |= begin + match.bytes == next;
      });
      if (!is_known) Improve(next, {score + model_.unknown_score, begin, model_.unknown});
    }
  }

  // A run of unknown characters that together are a token is that token, as in the reference.
  void AppendUnknown(std::string_view text, std::vector<uint32_t>* ids) {
    if (const auto id = FindToken(model_.tokens, text)) return ids->push_back(*id);
    if (model_.byte_fallback && AppendByteTokens(model_.tokens, text, ids)) return;
    ids->push_back(model_.unknown);
  }

  const UnigramModel& model_;
  std::vector<Best> ends_;     // by the byte where a way ends
  std::vector<size_t> steps_;  // the ends of the tokens, from the last
};

std::unique_ptr<PieceEncoder> UnigramModel::NewEncoder() const {
  return std::make_unique<UnigramPieceEncoder>(this);
}

}  // namespace

absl::StatusOr<std::unique_ptr<const Model>> MakeUnigramModel(
    const std::vector<ScoredToken>& tokens, uint32_t unknown, bool byte_fallback) {
  if (unknown >= tokens.size()) return InvalidArgument("unk_id is not below the number of tokens");
  auto model = std::make_unique<UnigramModel>();
  model->unknown = unknown;
  model->byte_fallback = byte_fallback;
  double worst = std::numeric_limits<double>::infinity();
  std::vector<std::pair<std::string, uint32_t>> strings;
  for (uint32_t id = 0; id < tokens.size(); ++id) {
    const auto& [token, score, in_text] = tokens[id];
    worst = std::min(worst, score);
    model->scores.push_back(score);
    if (!in_text) continue;
    if (token.empty() || !model->tokens.try_emplace(token, id).second) {
      return InvalidArgument("vocab[" + std::to_string(id) + "]: empty, or given before");
    }
    strings.emplace_back(token, id);
  }
  model->trie = ByteTrie(std::move(strings));
  model->unknown_score = worst - kUnknownPenalty;
  return model;
}

}  // namespace halcyon::pipeline
