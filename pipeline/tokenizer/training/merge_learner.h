// Learning the merges of byte-level BPE from counted words. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_TRAINING_MERGE_LEARNER_H_
#define HALCYON_PIPELINE_TOKENIZER_TRAINING_MERGE_LEARNER_H_

#include <array>
#include <cstdint>
#include <queue>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "pipeline/tokenizer/bpe_tokenizer.h"

namespace halcyon::pipeline {

inline constexpr uint32_t kByteTokens = 256;  // the tokens 0 ... 255, a byte each

// Each merge is of the pair that occurs most often; of several the one that Hugging Face's trainer
// takes: the smaller symbols, where bytes are numbered by the characters that stand for them. It
// touches only the words that have the pair. Neither the order of the words nor of anything that is
// hashed changes the result. Not thread-safe.
class MergeLearner {
 public:
  MergeLearner();

  // REQUIRES: each word once, not empty, shorter than 4 GiB; before Learn.
  void AddWord(std::string_view word, uint64_t count);
  // Until `tokens` tokens are known, the 256 bytes among them, or no pair is left that occurs
  // twice.
  void Learn(uint32_t tokens);

  // The bytes of the tokens by id, and the merges in their order. Bytes are their own ids.
  std::vector<std::string> TakeTokens();
  std::vector<BpeMerge> TakeMerges() { return std::move(merges_); }

 private:
  using Pair = uint64_t;  // of symbols, the left one above
  struct Word {
    uint64_t count;
    uint64_t begin;  // of its symbols in symbols_
    uint32_t size;
  };
  struct Places {
    uint64_t count = 0;                      // of the pair, over all words
    absl::InlinedVector<uint32_t, 4> words;  // that have or had the pair, some more than once
  };
  struct Candidate {
    uint64_t count;
    Pair pair;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };
  // The symbols that stand before the occurrences of a merged pair, or those behind them.
  struct Neighbour {
    uint64_t count = 0;      // how often it stands there, over all words
    uint32_t places = 0;     // how many words have it there
    uint32_t last_word = 0;  // of those, counted from 1
  };
  struct Place {
    uint32_t symbol, word;
  };
  struct Neighbours {
    const bool are_before;
    std::vector<Neighbour> of = {};      // by symbol
    std::vector<uint32_t> symbols = {};  // that have an entry in `of`
    std::vector<Place> places = {};
    void Add(uint32_t symbol, uint32_t word, uint64_t count);
    Pair With(uint32_t symbol, uint32_t neighbour) const {
      return are_before ? PairOf(neighbour, symbol) : PairOf(symbol, neighbour);
    }
  };

  static Pair PairOf(uint32_t left, uint32_t right) { return Pair{left} << 32 | right; }
  uint32_t NewSymbol(const std::string& bytes);
  void FindPairs();
  void Merge(uint32_t left, uint32_t right);
  void MergeInWord(uint32_t left, uint32_t right, uint32_t result, uint32_t word);
  void Gain(const Neighbours& neighbours, uint32_t result);
  void Lose(const Neighbours& neighbours, uint32_t merged);
  void FinishMerge(Neighbours* neighbours, uint32_t result);

  std::array<uint32_t, 256> symbol_of_byte_;
  std::vector<Word> words_;
  std::vector<uint32_t> symbols_;
  std::vector<std::string> bytes_;  // by symbol
  std::vector<BpeMerge> merges_;
  absl::flat_hash_map<std::string, uint32_t> symbol_of_bytes_;
  absl::flat_hash_map<Pair, Places> places_;
  // Never changed: one whose count is no longer the pair's is replaced or dropped when it is
  // popped.
  std::priority_queue<Candidate> candidates_;
  Neighbours before_{true}, behind_{false};
  std::vector<uint32_t> words_by_symbol_, end_by_symbol_;  // working memory of Gain
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_TRAINING_MERGE_LEARNER_H_
