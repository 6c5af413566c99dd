#include "pipeline/tokenizer/sentencepiece/sentencepiece_encoders.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <queue>
#include <utility>

#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

constexpr float kUnknownScorePenalty = 10;
// Sums that have grown so large are made small again, since float would lose the differences.
constexpr float kScoreResetThreshold = 100000;
// How deep an unused piece is taken apart.
constexpr int kResegmentDepthMax = 100;
constexpr uint32_t kNoSymbol = 0xFFFFFFFF;

class UnigramSegmenter : public Segmenter {
 public:
  explicit UnigramSegmenter(const SentencePieceTables* tables) : tables_(*tables) {}

  void Segment(std::string_view text, std::vector<SegmentedPiece>* pieces) override {
    ends_.assign(text.size() + 1, {});
    frontier_ = 0;
    for (size_t begin = 0, next = 0; begin < text.size(); begin = next) {
      NextCodePoint(text, &next);
      Extend(text, begin, next);
    }
    const size_t first = pieces->size();
    for (size_t end = text.size(); end > 0; end = ends_[end].begin) {
      pieces->push_back({text.substr(ends_[end].begin, end - ends_[end].begin), ends_[end].id});
    }
    std::reverse(pieces->begin() + static_cast<std::ptrdiff_t>(first), pieces->end());
  }

 private:
  static constexpr size_t kNowhere = std::numeric_limits<size_t>::max();
  struct Best {  // of the ways to a place
    float score = 0;
    size_t begin = kNowhere;  // of the last piece; kNowhere: there is no way yet
    uint32_t id = 0;
  };

  float ScoreOf(uint32_t id, size_t bytes) const {
    const SentencePieceModel::Piece& piece = tables_.model.pieces[id];
    // User-defined pieces are always taken.
    if (piece.type != SentencePieceType::kUserDefined) return piece.score;
    return static_cast<float>(0.1 * (static_cast<int>(bytes) - 1));
  }

  void Improve(size_t end, const Best& way) {
    frontier_ = std::max(frontier_, end);
    if (ends_[end].begin == kNowhere || way.score > ends_[end].score) ends_[end] = way;
  }

  void Extend(std::string_view text, size_t begin, size_t next) {
    if (std::abs(ends_[begin].score) > kScoreResetThreshold) {
      const float offset = ends_[begin].score;
      for (size_t i = begin; i <= frontier_; ++i) {
        if (i == begin || ends_[i].begin != kNowhere) ends_[i].score -= offset;
      }
    }
    const float score = ends_[begin].score;
    bool is_known = false;
    tables_.trie.ForEachPrefix(text.substr(begin), [&](ByteTrie::Match match) {
      if (tables_.model.pieces[match.value].type == SentencePieceType::kUnused) return;
      Improve(begin + match.bytes, {ScoreOf(match.value, match.bytes) + score, begin, match.value});
      is_known |= begin + match.bytes == next;
    });
    const float unknown_score = tables_.worst_score - kUnknownScorePenalty;
    if (!is_known) Improve(next, {unknown_score + score, begin, tables_.unknown});
  }

  const SentencePieceTables& tables_;
  std::vector<Best> ends_;  // by the byte where a way ends
  size_t frontier_ = 0;     // the last of them that has a way
};

class BpeSegmenter : public Segmenter {
 public:
  explicit BpeSegmenter(const SentencePieceTables* tables) : tables_(*tables) {}

  void Segment(std::string_view text, std::vector<SegmentedPiece>* pieces) override {
    Split(text);
    parts_of_.clear();
    for (uint32_t i = 0; i + 1 < symbols_.size(); ++i) Consider(i, i + 1);
    while (!agenda_.empty()) {
      const Candidate top = agenda_.top();
      agenda_.pop();
      Symbol& left = symbols_[top.left];
      Symbol& right = symbols_[top.right];
      if (left.text.empty() || right.text.empty() ||
          left.text.size() + right.text.size() != top.bytes) {
        continue;  // one of the two has changed
      }
      left.text = Joined(left, right);
      left.next = right.next;
      if (right.next != kNoSymbol) symbols_[right.next].previous = top.left;
      right.text = {};
      Consider(left.previous, top.left);
      Consider(top.left, left.next);
    }
    for (uint32_t i = 0; i != kNoSymbol; i = symbols_[i].next) Emit(symbols_[i].text, 0, pieces);
  }

 private:
  struct Symbol {
    std::string_view text;
    bool is_fixed;            // a user-defined piece, which merges with nothing
    uint32_t previous, next;  // kNoSymbol at the ends
  };
  struct Candidate {
    float score;
    uint32_t left, right;
    size_t bytes;
    // The last is taken first: of the highest score the leftmost. -0 is less than 0.
    bool operator<(const Candidate& other) const {
      const int32_t mine = Ordered(score), theirs = Ordered(other.score);
      return mine != theirs ? mine < theirs : left > other.left;
    }
    static int32_t Ordered(float score) {
      const auto bits = std::bit_cast<int32_t>(score);
      return bits < 0 ? bits ^ 0x7FFFFFFF : bits;
    }
  };

  static std::string_view Joined(const Symbol& left, const Symbol& right) {
    return {left.text.data(), left.text.size() + right.text.size()};
  }

  void Split(std::string_view text) {
    symbols_.clear();
    for (size_t at = 0; at < text.size();) {
      const size_t begin = at;
      const auto fixed = tables_.user_defined.LongestPrefix(text.substr(at));
      if (fixed) {
        at += fixed->bytes;
      } else {
        NextCodePoint(text, &at);
      }
      const auto index = static_cast<uint32_t>(symbols_.size());
      symbols_.push_back({text.substr(begin, at - begin), fixed.has_value(),
                          index == 0 ? kNoSymbol : index - 1,
                          at == text.size() ? kNoSymbol : index + 1});
    }
  }

  void Consider(uint32_t left, uint32_t right) {
    if (left == kNoSymbol || right == kNoSymbol) return;
    if (symbols_[left].is_fixed || symbols_[right].is_fixed) return;
    const std::string_view text = Joined(symbols_[left], symbols_[right]);
    if (text.size() > tables_.bytes_max) return;
    const auto id = FindToken(tables_.ids, text);
    if (!id) return;
    const SentencePieceModel::Piece& piece = tables_.model.pieces[*id];
    agenda_.push({piece.score, left, right, text.size()});
    if (piece.type == SentencePieceType::kUnused) {
      parts_of_[text] = {symbols_[left].text, symbols_[right].text};
    }
  }

  // An unused piece helps others to come about, but is itself taken apart again.
  void Emit(std::string_view text, int depth, std::vector<SegmentedPiece>* pieces) {
    const auto id = text.size() > tables_.bytes_max ? std::nullopt : FindToken(tables_.ids, text);
    if (!id) return pieces->push_back({text, tables_.unknown});
    if (tables_.model.pieces[*id].type != SentencePieceType::kUnused ||
        depth > kResegmentDepthMax) {
      return pieces->push_back({text, *id});
    }
    const auto parts = parts_of_.find(text);
    if (parts == parts_of_.end()) return pieces->push_back({text, tables_.unknown});
    const auto [left, right] = parts->second;
    Emit(left, depth + 1, pieces);
    Emit(right, depth + 1, pieces);
  }

  const SentencePieceTables& tables_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate> agenda_;
  absl::flat_hash_map<std::string_view, std::pair<std::string_view, std::string_view>> parts_of_;
};

}  // namespace

SentencePieceTables::SentencePieceTables(SentencePieceModel read) : model(std::move(read)) {
  std::vector<std::pair<std::string, uint32_t>> in_text, by_user;
  worst_score = std::numeric_limits<float>::max();
  for (uint32_t id = 0; id < model.pieces.size(); ++id) {
    const SentencePieceModel::Piece& piece = model.pieces[id];
    if (piece.type == SentencePieceType::kUnknown) unknown = id;
    if (piece.type == SentencePieceType::kNormal) worst_score = std::min(worst_score, piece.score);
    if (piece.type == SentencePieceType::kUserDefined) by_user.emplace_back(piece.text, id);
    if (!InText(id)) continue;
    in_text.emplace_back(piece.text, id);
    ids[piece.text] = id;
    bytes_max = std::max(bytes_max, piece.text.size());
  }
  trie = ByteTrie(std::move(in_text));
  user_defined = ByteTrie(std::move(by_user));
}

bool SentencePieceTables::InText(uint32_t id) const {
  const SentencePieceType type = model.pieces[id].type;
  return type == SentencePieceType::kNormal || type == SentencePieceType::kUserDefined ||
         type == SentencePieceType::kUnused;
}

std::unique_ptr<Segmenter> NewSegmenter(const SentencePieceTables* tables) {
  if (tables->model.kind == SentencePieceModel::Kind::kBpe) {
    return std::make_unique<BpeSegmenter>(tables);
  }
  return std::make_unique<UnigramSegmenter>(tables);
}

}  // namespace halcyon::pipeline
