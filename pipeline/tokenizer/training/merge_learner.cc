#include "pipeline/tokenizer/training/merge_learner.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "pipeline/tokenizer/byte_alphabet.h"

namespace halcyon::pipeline {
namespace {

constexpr uint64_t kOccurrencesMin = 2;  // a pair that occurs once is not merged
// How many words ahead memory is asked for, so that it has answered when their turn comes.
constexpr size_t kWordsAhead = 16, kSymbolsAhead = 8;

}  // namespace

MergeLearner::MergeLearner() {
  std::array<uint8_t, kByteTokens> bytes;
  std::iota(bytes.begin(), bytes.end(), 0);
  std::sort(bytes.begin(), bytes.end(),
            [](uint8_t a, uint8_t b) { return AlphabetPoint(a) < AlphabetPoint(b); });
  for (const uint8_t byte : bytes) {
    symbol_of_byte_[byte] = NewSymbol(std::string(1, static_cast<char>(byte)));
  }
}

void MergeLearner::AddWord(std::string_view word, uint64_t count) {
  if (word.size() < 2) return;  // has no pair
  HALCYON_CHECK(words_.size() < UINT32_MAX && word.size() <= UINT32_MAX);
  words_.push_back({count, symbols_.size(), static_cast<uint32_t>(word.size())});
  for (const char byte : word) symbols_.push_back(symbol_of_byte_[static_cast<uint8_t>(byte)]);
}

void MergeLearner::Learn(uint32_t tokens) {
  FindPairs();
  while (bytes_.size() < tokens && !candidates_.empty()) {
    const Candidate top = candidates_.top();
    candidates_.pop();
    const auto found = places_.find(top.pair);
    if (found == places_.end() || found->second.count > top.count) continue;
    if (found->second.count == top.count) {
      Merge(static_cast<uint32_t>(top.pair >> 32), static_cast<uint32_t>(top.pair));
    } else if (found->second.count >= kOccurrencesMin) {
      candidates_.push({found->second.count, top.pair});
    }
  }
}

std::vector<std::string> MergeLearner::TakeTokens() {
  for (uint32_t byte = 0; byte < kByteTokens; ++byte) {
    bytes_[byte] = std::string(1, static_cast<char>(byte));
  }
  return std::move(bytes_);
}

// Two merges may lead to the same bytes, which are one symbol.
uint32_t MergeLearner::NewSymbol(const std::string& bytes) {
  const auto [entry, is_new] =
      symbol_of_bytes_.try_emplace(bytes, static_cast<uint32_t>(bytes_.size()));
  if (is_new) {
    bytes_.push_back(bytes);
    before_.of.emplace_back();
    behind_.of.emplace_back();
  }
  return entry->second;
}

// Twice over all words, so that each list takes the memory that it needs.
void MergeLearner::FindPairs() {
  std::vector<Neighbour> pairs(kByteTokens * kByteTokens);
  const auto for_each_pair = [&](const auto& visit) {
    for (Neighbour& pair : pairs) pair.last_word = 0;
    for (uint32_t word = 0; word < words_.size(); ++word) {
      const uint32_t* const symbols = symbols_.data() + words_[word].begin;
      for (size_t i = 0; i + 1 < words_[word].size; ++i) {
        Neighbour& pair = pairs[symbols[i] * kByteTokens + symbols[i + 1]];
        visit(&pair, PairOf(symbols[i], symbols[i + 1]), word);
        pair.last_word = word + 1;
      }
    }
  };
  for_each_pair([&](Neighbour* pair, Pair, uint32_t word) {
    pair->count += words_[word].count;
    pair->places += pair->last_word != word + 1;
  });
  std::vector<Places*> places(pairs.size());
  places_.reserve(pairs.size() - std::count_if(pairs.begin(), pairs.end(),
                                               [](const auto& pair) { return pair.places == 0; }));
  for (uint32_t i = 0; i < pairs.size(); ++i) {
    if (pairs[i].places == 0) continue;
    const Pair pair = PairOf(i / kByteTokens, i % kByteTokens);
    places[i] = &places_[pair];
    places[i]->count = pairs[i].count;
    places[i]->words.reserve(pairs[i].places);
    if (pairs[i].count >= kOccurrencesMin) candidates_.push({pairs[i].count, pair});
  }
  for_each_pair([&](Neighbour* pair, Pair, uint32_t word) {
    if (pair->last_word != word + 1) places[pair - pairs.data()]->words.push_back(word);
  });
}

void MergeLearner::Merge(uint32_t left, uint32_t right) {
  const uint32_t result = NewSymbol(bytes_[left] + bytes_[right]);
  const auto id_of = [this](uint32_t symbol) {
    return symbol < kByteTokens ? static_cast<uint8_t>(bytes_[symbol][0]) : symbol;
  };
  merges_.push_back({id_of(left), id_of(right), result});
  // Taken out first: every occurrence is merged, so the pair's own count does not matter below.
  const auto pair = places_.find(PairOf(left, right));
  const auto words = std::move(pair->second.words);
  places_.erase(pair);
  for (size_t i = 0; i < words.size(); ++i) {
    if (i + kWordsAhead < words.size()) __builtin_prefetch(&words_[words[i + kWordsAhead]]);
    if (i + kSymbolsAhead < words.size()) {
      __builtin_prefetch(symbols_.data() + words_[words[i + kSymbolsAhead]].begin);
    }
    MergeInWord(left, right, result, words[i]);
  }
  // Gains come first: a pair may be both gained and lost, in words like "aaaa".
  Gain(before_, result);
  Gain(behind_, result);
  Lose(before_, left);
  Lose(behind_, right);
  FinishMerge(&before_, result);
  FinishMerge(&behind_, result);
}

void MergeLearner::MergeInWord(uint32_t left, uint32_t right, uint32_t result, uint32_t word) {
  Word& merged = words_[word];
  uint32_t* const symbols = symbols_.data() + merged.begin;
  uint32_t out = 0;
  for (uint32_t i = 0; i < merged.size; ++out) {
    if (i + 1 == merged.size || symbols[i] != left || symbols[i + 1] != right) {
      symbols[out] = symbols[i++];
      continue;
    }
    if (out > 0) before_.Add(symbols[out - 1], word, merged.count);
    if (i + 2 < merged.size) behind_.Add(symbols[i + 2], word, merged.count);
    symbols[out] = result;
    i += 2;
  }
  merged.size = out;
}

void MergeLearner::Neighbours::Add(uint32_t symbol, uint32_t word, uint64_t count) {
  Neighbour& neighbour = of[symbol];
  if (neighbour.count == 0) symbols.push_back(symbol);
  neighbour.count += count;
  if (neighbour.last_word == word + 1) return;
  neighbour.last_word = word + 1;
  ++neighbour.places;
  places.push_back({symbol, word});
}

// The pairs of the neighbours and the merge's result occur, in those words.
void MergeLearner::Gain(const Neighbours& neighbours, uint32_t result) {
  // The words of each symbol side by side; `end` is where the next one of a symbol goes.
  std::vector<uint32_t>& end = end_by_symbol_;
  end.resize(bytes_.size());
  uint32_t all = 0;
  for (const uint32_t symbol : neighbours.symbols) {
    end[symbol] = all;
    all += neighbours.of[symbol].places;
  }
  words_by_symbol_.resize(all);
  for (const Place& place : neighbours.places) words_by_symbol_[end[place.symbol]++] = place.word;
  for (const uint32_t symbol : neighbours.symbols) {
    const Neighbour& neighbour = neighbours.of[symbol];
    Places& places = places_[neighbours.With(result, symbol)];
    places.count += neighbour.count;
    const uint32_t* const words_end = words_by_symbol_.data() + end[symbol];
    places.words.insert(places.words.end(), words_end - neighbour.places, words_end);
  }
}

// The pairs of the neighbours and what was merged no longer occur there.
void MergeLearner::Lose(const Neighbours& neighbours, uint32_t merged) {
  for (const uint32_t symbol : neighbours.symbols) {
    const auto found = places_.find(neighbours.With(merged, symbol));
    if (found == places_.end()) continue;  // the merged pair itself, in words like "aaaa"
    found->second.count -= neighbours.of[symbol].count;
    if (found->second.count == 0) places_.erase(found);
  }
}

void MergeLearner::FinishMerge(Neighbours* neighbours, uint32_t result) {
  for (const uint32_t symbol : neighbours->symbols) {
    const Pair pair = neighbours->With(result, symbol);
    const auto found = places_.find(pair);
    if (found != places_.end() && found->second.count >= kOccurrencesMin) {
      candidates_.push({found->second.count, pair});
    }
    neighbours->of[symbol] = {};
  }
  neighbours->symbols.clear();
  neighbours->places.clear();
}

}  // namespace halcyon::pipeline
