#include "pipeline/tokenizer/training/word_counter.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "pipeline/for_all.h"

namespace halcyon::pipeline {
namespace {

std::vector<std::unique_ptr<SpanSource>> SourcesOf(const SpanPattern& pattern, size_t count) {
  std::vector<std::unique_ptr<SpanSource>> sources(count);
  for (auto& source : sources) source = pattern();
  return sources;
}

}  // namespace

size_t EndOfSafePart(std::string_view text, size_t from) {
  for (size_t at = text.find(' ', from); at < text.size(); at = text.find(' ', at + 1)) {
    if (at > 0 && at + 1 < text.size() && absl::ascii_isalpha(text[at - 1]) &&
        absl::ascii_isalpha(text[at + 1])) {
      return at;
    }
  }
  return text.size();
}

WordCounter::WordCounter(const SpanPattern& pattern, uint64_t bytes_max, size_t threads,
                         size_t round_bytes)
    : bytes_max_(bytes_max),
      round_bytes_(round_bytes),
      batch_bytes_(round_bytes / kRoundBatches),
      spans_(SourcesOf(pattern, threads)),
      counted_(threads) {}

void WordCounter::Add(std::string_view text) {
  while (!text.empty()) {
    const size_t end = EndOfSafePart(text, std::min(text.size(), batch_bytes_));
    AddPart(text.substr(0, end));
    text.remove_prefix(end);
  }
}

void WordCounter::AddPart(std::string_view part) {
  if (filling_.empty() || filling_.back().bytes.size() >= batch_bytes_) filling_.emplace_back();
  Batch& batch = filling_.back();
  batch.bytes += part;
  batch.ends.push_back(batch.bytes.size());
  filling_bytes_ += part.size();
  if (filling_bytes_ >= round_bytes_) StartRound();
}

void WordCounter::Finish() {
  StartRound();
  if (round_.joinable()) round_.join();
  counted_.clear();
  counting_.clear();
}

void WordCounter::StartRound() {
  if (round_.joinable()) round_.join();
  counting_ = std::exchange(filling_, {});
  filling_bytes_ = 0;
  if (spans_.size() == 1) {
    CountRound();
  } else {
    round_ = std::jthread([this] { CountRound(); });
  }
}

void WordCounter::CountRound() {
  const size_t threads = spans_.size();
  ForAll(counting_.size(), threads,
         [this](size_t batch, size_t thread) { CountBatch(counting_[batch], thread); });
  ForAll(kShards, threads, [this](size_t shard, size_t) {
    for (Shards& counted : counted_) table_[shard].Take(&counted[shard]);
  });
  table_bytes_ = 0;
  for (const WordTable& shard : table_) table_bytes_ += shard.bytes();
  if (table_bytes_ > bytes_max_) DropRareWords();
}

void WordCounter::CountBatch(const Batch& batch, size_t thread) {
  SpanSource& source = *spans_[thread];
  std::array<Span, 32> spans;
  size_t begin = 0;
  for (const size_t end : batch.ends) {
    const auto text = std::string_view(batch.bytes).substr(begin, end - begin);
    source.Start(text);
    for (size_t count = spans.size(); count == spans.size();) {
      count = source.NextSpans(spans.data(), spans.size());
      for (size_t i = 0; i < count; ++i) {
        const HashedWord word(text.substr(spans[i].begin, spans[i].end - spans[i].begin));
        counted_[thread][word.hash >> (64 - kShardsLog2)].Add(word, 1);
      }
    }
    begin = end;
  }
}

// Down to half of what is allowed, so that it is seldom done.
void WordCounter::DropRareWords() {
  const size_t threads = spans_.size();
  std::array<std::map<uint64_t, uint64_t>, kShards> by_count;
  ForAll(kShards, threads,
         [&](size_t shard, size_t) { table_[shard].AddBytesByCount(&by_count[shard]); });
  std::map<uint64_t, uint64_t> bytes_by_count;
  for (const auto& shard : by_count) {
    for (const auto& [count, bytes] : shard) bytes_by_count[count] += bytes;
  }
  uint64_t count_max = 0;
  for (const auto& [count, bytes] : bytes_by_count) {
    if (table_bytes_ <= bytes_max_ / 2) break;
    count_max = count;
    table_bytes_ -= bytes;
  }
  std::array<DroppedWords, kShards> dropped;
  ForAll(kShards, threads, [&](size_t shard, size_t) {
    table_[shard].Drop(count_max, &dropped[shard].words, &dropped[shard].occurrences);
  });
  for (const DroppedWords& one : dropped) {
    dropped_.words += one.words;
    dropped_.occurrences += one.occurrences;
  }
  dropped_.short_max += count_max;
}

size_t WordCounter::word_count() const {
  size_t count = 0;
  for (const WordTable& shard : table_) count += shard.size();
  return count;
}

void WordCounter::TakeWords(
    const std::function<void(std::string_view word, uint64_t count)>& visit) {
  for (WordTable& shard : table_) std::exchange(shard, WordTable()).ForEach(visit);
}

}  // namespace halcyon::pipeline
