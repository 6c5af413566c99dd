// Counting the words of a corpus, in bounded memory and by several threads. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_TRAINING_WORD_COUNTER_H_
#define HALCYON_PIPELINE_TOKENIZER_TRAINING_WORD_COUNTER_H_

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "pipeline/tokenizer.h"
#include "pipeline/tokenizer/spans.h"
#include "pipeline/tokenizer/training/word_table.h"

namespace halcyon::pipeline {

// Texts are counted by rounds of so many bytes: while the caller fills one, threads count the one
// before, each into tables of its own, and add those to the tables of all. Between rounds the
// tables depend on the texts alone, so that is when they are kept below `bytes_max`; neither the
// number of threads nor their speed changes a count. Counts are exact unless dropped() says
// otherwise. Not thread-safe.
class WordCounter {
 public:
  // `pattern` cuts texts into words; it is one of PatternByName, see EndOfSafePart. `bytes_max` is
  // of all words by WordTable::BytesOf; a round more may be there for a time.
  WordCounter(const SpanPattern& pattern, uint64_t bytes_max, size_t threads,
              size_t round_bytes = 16 << 20);

  // `text` is valid UTF-8.
  void Add(std::string_view text);
  // No more is added after it.
  void Finish();

  // Valid after Finish.
  const DroppedWords& dropped() const { return dropped_; }
  size_t word_count() const;
  // Calls visit(word, count) for each word, in any order, and gives their memory back on the way.
  void TakeWords(const std::function<void(std::string_view word, uint64_t count)>& visit);

 private:
  static constexpr size_t kRoundBatches = 128;
  static constexpr int kShardsLog2 = 6;  // of the tables, by the hash's first bits
  static constexpr size_t kShards = size_t{1} << kShardsLog2;
  using Shards = std::array<WordTable, kShards>;

  // Texts, or parts of texts that are cut into words alone.
  struct Batch {
    std::string bytes;
    std::vector<size_t> ends;
  };

  void AddPart(std::string_view part);
  void StartRound();
  void CountRound();
  void CountBatch(const Batch& batch, size_t thread);
  void DropRareWords();

  const uint64_t bytes_max_;
  const size_t round_bytes_, batch_bytes_;  // of text; a batch is what a thread takes at a time
  const std::vector<std::unique_ptr<SpanSource>> spans_;  // by thread
  std::vector<Batch> filling_;
  size_t filling_bytes_ = 0;
  // Of the round that is being counted.
  std::vector<Batch> counting_;
  std::vector<Shards> counted_;  // by thread
  Shards table_;
  uint64_t table_bytes_ = 0;
  DroppedWords dropped_;
  std::jthread round_;  // last: it uses the others
};

// The end of a part of `text` after which every pattern of PatternByName begins a new match,
// whatever comes later: before a space between two ASCII letters, from `from` on. text.size() where
// there is none.
size_t EndOfSafePart(std::string_view text, size_t from);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_TRAINING_WORD_COUNTER_H_
