// How often words occur. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_TRAINING_WORD_TABLE_H_
#define HALCYON_PIPELINE_TOKENIZER_TRAINING_WORD_TABLE_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "base/digest.h"

namespace halcyon::pipeline {

// A word and its hash, which the caller needs as well.
struct HashedWord {
  explicit HashedWord(std::string_view word) : bytes(word), hash(Xxh3(word)) {}
  explicit operator std::string() const { return std::string(bytes); }
  std::string_view bytes;
  uint64_t hash;
};

// Different words, each with its count. Not thread-safe.
class WordTable {
 public:
  // What a word takes at most, here and while merges are learnt from it (merge_learner.h).
  static constexpr uint64_t BytesOf(std::string_view word) { return 96 + 32 * word.size(); }

  void Add(const HashedWord& word, uint64_t count) {
    const auto [entry, is_new] = counts_.try_emplace(word, 0);
    entry->second += count;
    if (is_new) bytes_ += BytesOf(word.bytes);
  }
  // Adds all words of `other`, which is empty then and keeps its memory.
  void Take(WordTable* other) {
    for (const auto& [word, count] : other->counts_) Add(HashedWord(word), count);
    other->counts_.clear();
    other->bytes_ = 0;
  }

  size_t size() const { return counts_.size(); }
  uint64_t bytes() const { return bytes_; }  // by BytesOf

  // Adds to (*bytes)[c] what the words that occur c times take.
  void AddBytesByCount(std::map<uint64_t, uint64_t>* bytes) const {
    for (const auto& [word, count] : counts_) (*bytes)[count] += BytesOf(word);
  }
  // Removes the words that occur at most `count_max` times and adds to *words and *occurrences what
  // was removed.
  void Drop(uint64_t count_max, uint64_t* words, uint64_t* occurrences) {
    absl::erase_if(counts_, [&](const auto& entry) {
      if (entry.second > count_max) return false;
      bytes_ -= BytesOf(entry.first);
      ++*words;
      *occurrences += entry.second;
      return true;
    });
  }

  // Calls visit(word, count) for each, in any order.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (const auto& [word, count] : counts_) visit(std::string_view(word), count);
  }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(const HashedWord& word) const { return word.hash; }
    size_t operator()(const std::string& word) const { return Xxh3(word); }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const std::string& a, const std::string& b) const { return a == b; }
    bool operator()(const std::string& a, const HashedWord& b) const { return a == b.bytes; }
  };

  absl::flat_hash_map<std::string, uint64_t, Hash, Equal> counts_;
  uint64_t bytes_ = 0;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_TRAINING_WORD_TABLE_H_
