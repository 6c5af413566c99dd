#include <fmt/format.h>

#include <utility>

#include "pipeline/for_all.h"
#include "pipeline/tokenizer/bpe_tokenizer.h"
#include "pipeline/tokenizer/split_pattern.h"
#include "pipeline/tokenizer/training/merge_learner.h"
#include "pipeline/tokenizer/training/word_counter.h"

namespace halcyon::pipeline {
namespace {

constexpr uint32_t kSpecials = 2;

class CountingTrainer : public BpeTrainer {
 public:
  CountingTrainer(const BpeTrainingOptions& options, std::string regex, const SpanPattern& pattern)
      : vocab_size_(options.vocab_size),
        regex_(std::move(regex)),
        counter_(pattern, options.words_bytes_max,
                 options.threads > 0 ? options.threads : ProcessorCount()) {}

  void Add(std::string_view document) override {
    has_text_ |= !document.empty();
    counter_.Add(document);
  }

  absl::StatusOr<std::shared_ptr<const Tokenizer>> Train() override {
    if (!has_text_) {
      return InvalidArgument("no text to train a tokenizer on: the sources have no documents");
    }
    counter_.Finish();
    MergeLearner learner;
    counter_.TakeWords(
        [&learner](std::string_view word, uint64_t count) { learner.AddWord(word, count); });
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

  DroppedWords dropped() const override { return counter_.dropped(); }

 private:
  const uint32_t vocab_size_;
  const std::string regex_;
  WordCounter counter_;
  bool has_text_ = false;
};

}  // namespace

std::string WarningOf(const DroppedWords& dropped) {
  if (dropped.words == 0) return "";
  return fmt::format(
      "the different words of the text take more memory than words_bytes_max allows: {} times a "
      "rare word was left out, {} occurrences in all, so that a word may be counted up to {} times "
      "too few; a larger words_bytes_max or less text makes the vocabulary exact",
      dropped.words, dropped.occurrences, dropped.short_max);
}

std::map<std::string, uint64_t> FactsOf(const DroppedWords& dropped) {
  if (dropped.words == 0) return {};
  return {{"words_left_out", dropped.words},
          {"occurrences_left_out", dropped.occurrences},
          {"count_short_max", dropped.short_max}};
}

absl::StatusOr<std::unique_ptr<BpeTrainer>> BpeTrainer::Create(const BpeTrainingOptions& options) {
  if (options.vocab_size < kByteTokens + kSpecials) {
    return InvalidArgument("vocab_size " + std::to_string(options.vocab_size) +
                           " is too small: 256 bytes and 2 special tokens need 258");
  }
  ASSIGN_OR_RETURN(const std::string regex, PatternByName(options.pattern));
  ASSIGN_OR_RETURN(const SpanPattern pattern, CompilePattern(regex));
  return std::make_unique<CountingTrainer>(options, regex, pattern);
}

}  // namespace halcyon::pipeline
