// Counts distinct pieces first, then learns on those: a corpus has few compared with its size. A
// merge touches only the pieces that have the pair; pair counts change by what it adds and removes.
#include <algorithm>
#include <queue>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "pipeline/tokenizer/bpe_tokenizer.h"
#include "pipeline/tokenizer/byte_alphabet.h"
#include "pipeline/tokenizer/split_pattern.h"

namespace halcyon::pipeline {
namespace {

constexpr uint32_t kBytes = 256;
constexpr uint32_t kSpecials = 2;
constexpr uint64_t kCountMin = 2;  // a pair that occurs once is not merged

using Pair = std::pair<uint32_t, uint32_t>;

struct Piece {
  std::vector<uint32_t> ids;
  uint64_t count;
};

struct PairPlaces {
  uint64_t count = 0;
  std::vector<uint32_t> pieces;  // that have or had the pair, without order
};

// Of pairs that occur as often, the one that Hugging Face's trainer takes first: it numbers the
// bytes by the characters that stand for them.
Pair Place(Pair pair) {
  const auto place = [](uint32_t id) {
    return id < kBytes ? AlphabetPoint(static_cast<uint8_t>(id)) : 0x10000 + id;
  };
  return {place(pair.first), place(pair.second)};
}

// Entries are never changed: an entry whose count is no longer the pair's is replaced or dropped
// when it is popped.
struct HeapEntry {
  uint64_t count;
  Pair pair;
  bool operator<(const HeapEntry& other) const {
    return count != other.count ? count < other.count : Place(pair) > Place(other.pair);
  }
};

// The merges learnt so far, and the pieces as they read after those.
class MergeLearner {
 public:
  explicit MergeLearner(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {
    for (uint32_t id = 0; id < kBytes; ++id) NewToken(std::string(1, static_cast<char>(id)));
    for (uint32_t piece = 0; piece < pieces_.size(); ++piece) {
      const std::vector<uint32_t>& ids = pieces_[piece].ids;
      for (size_t i = 0; i + 1 < ids.size(); ++i) Add({ids[i], ids[i + 1]}, piece);
    }
    PushGrown();
  }

  // Until `tokens` tokens are known or no pair is left that occurs often enough.
  void Learn(uint32_t tokens) {
    while (tokens_.size() < tokens && !heap_.empty()) {
      const HeapEntry top = heap_.top();
      heap_.pop();
      const auto found = places_.find(top.pair);
      if (found == places_.end() || found->second.count > top.count) continue;
      if (found->second.count < top.count) {
        if (found->second.count >= kCountMin) heap_.push({found->second.count, top.pair});
        continue;
      }
      Merge(top.pair);
    }
  }

  std::vector<std::string> TakeTokens() { return std::move(tokens_); }
  std::vector<BpeMerge> TakeMerges() { return std::move(merges_); }

 private:
  // The id of the token with these bytes; two merges may lead to the same bytes.
  uint32_t NewToken(const std::string& bytes) {
    const auto [entry, is_new] =
        id_of_bytes_.try_emplace(bytes, static_cast<uint32_t>(tokens_.size()));
    if (is_new) tokens_.push_back(bytes);
    return entry->second;
  }

  void Add(Pair pair, uint32_t piece) {
    PairPlaces& places = places_[pair];
    places.count += pieces_[piece].count;
    if (places.pieces.empty() || places.pieces.back() != piece) places.pieces.push_back(piece);
    grown_.push_back(pair);
  }

  void Remove(Pair pair, uint32_t piece) {
    const auto found = places_.find(pair);
    if (found != places_.end()) found->second.count -= pieces_[piece].count;
  }

  void PushGrown() {
    std::sort(grown_.begin(), grown_.end());
    grown_.erase(std::unique(grown_.begin(), grown_.end()), grown_.end());
    for (const Pair& pair : grown_) {
      const auto found = places_.find(pair);
      if (found != places_.end() && found->second.count >= kCountMin) {
        heap_.push({found->second.count, pair});
      }
    }
    grown_.clear();
  }

  void Merge(Pair pair) {
    const uint32_t result = NewToken(tokens_[pair.first] + tokens_[pair.second]);
    merges_.push_back({pair.first, pair.second, result});
    // Moved out first: every occurrence is merged, so the pair's own count is not updated below.
    std::vector<uint32_t> pieces = std::move(places_[pair].pieces);
    places_.erase(pair);
    std::sort(pieces.begin(), pieces.end());
    pieces.erase(std::unique(pieces.begin(), pieces.end()), pieces.end());
    for (const uint32_t piece : pieces) MergeInPiece(pair, result, piece);
    // Runs like "aaa" count an overlapping pair anew while they are merged.
    places_.erase(pair);
    PushGrown();
  }

  void MergeInPiece(Pair pair, uint32_t result, uint32_t piece) {
    std::vector<uint32_t>& ids = pieces_[piece].ids;
    size_t out = 0;
    for (size_t i = 0; i < ids.size(); ++out) {
      if (i + 1 == ids.size() || ids[i] != pair.first || ids[i + 1] != pair.second) {
        ids[out] = ids[i++];
        continue;
      }
      if (out > 0) {
        Remove({ids[out - 1], pair.first}, piece);
        Add({ids[out - 1], result}, piece);
      }
      if (i + 2 < ids.size()) {
        Remove({pair.second, ids[i + 2]}, piece);
        Add({result, ids[i + 2]}, piece);
      }
      ids[out] = result;
      i += 2;
    }
    ids.resize(out);
  }

  std::vector<Piece> pieces_;
  std::vector<std::string> tokens_;
  std::vector<BpeMerge> merges_;
  absl::flat_hash_map<std::string, uint32_t> id_of_bytes_;
  absl::flat_hash_map<Pair, PairPlaces> places_;
  std::priority_queue<HeapEntry> heap_;
  std::vector<Pair> grown_;  // pairs whose count went up since the last PushGrown
};

class CountingTrainer : public BpeTrainer {
 public:
  CountingTrainer(uint32_t vocab_size, std::string regex, const SpanPattern& pattern)
      : vocab_size_(vocab_size), regex_(std::move(regex)), spans_(pattern()) {}

  void Add(std::string_view document) override {
    spans_->Start(document);
    for (Span span; spans_->NextSpan(&span);) {
      ++counts_[ToAbsl(document.substr(span.begin, span.end - span.begin))];
    }
  }

  absl::StatusOr<std::shared_ptr<const Tokenizer>> Train() override {
    if (counts_.empty()) {
      return InvalidArgument("no text to train a tokenizer on: the sources have no documents");
    }
    MergeLearner learner(Pieces());
    learner.Learn(vocab_size_ - kSpecials);
    BpeVocabulary vocabulary;
    vocabulary.tokens = learner.TakeTokens();
    vocabulary.merges = learner.TakeMerges();
    vocabulary.regex = regex_;
    vocabulary.special.assign(vocabulary.tokens.size(), false);
    vocabulary.special.resize(vocabulary.tokens.size() + kSpecials, true);
    vocabulary.end_of_text = static_cast<uint32_t>(vocabulary.tokens.size());
    vocabulary.tokens.emplace_back(kEndOfText);
    vocabulary.padding = static_cast<uint32_t>(vocabulary.tokens.size());
    vocabulary.tokens.emplace_back(kPadding);
    ASSIGN_OR_RETURN(std::shared_ptr<const Tokenizer> tokenizer,
                     BpeTokenizer::Create(std::move(vocabulary)));
    return tokenizer;
  }

 private:
  std::vector<Piece> Pieces() const {
    std::vector<Piece> pieces;
    pieces.reserve(counts_.size());
    for (const auto& [text, count] : counts_) {
      Piece& piece = pieces.emplace_back();
      piece.count = count;
      piece.ids.reserve(text.size());
      for (const char byte : text) piece.ids.push_back(static_cast<uint8_t>(byte));
    }
    return pieces;
  }

  const uint32_t vocab_size_;
  const std::string regex_;
  const std::unique_ptr<SpanSource> spans_;
  absl::flat_hash_map<std::string, uint64_t> counts_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<BpeTrainer>> BpeTrainer::Create(const BpeTrainingOptions& options) {
  if (options.vocab_size < kBytes + kSpecials) {
    return InvalidArgument("vocab_size " + std::to_string(options.vocab_size) +
                           " is too small: 256 bytes and 2 special tokens need 258");
  }
  ASSIGN_OR_RETURN(const std::string regex, PatternByName(options.pattern));
  ASSIGN_OR_RETURN(const SpanPattern pattern, CompilePattern(regex));
  return std::make_unique<CountingTrainer>(options.vocab_size, regex, pattern);
}

}  // namespace halcyon::pipeline
