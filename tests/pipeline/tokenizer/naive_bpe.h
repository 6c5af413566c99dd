// Byte-pair encoding by its definition: quadratic, and short enough to be seen right.
#ifndef HALCYON_TESTS_PIPELINE_TOKENIZER_NAIVE_BPE_H_
#define HALCYON_TESTS_PIPELINE_TOKENIZER_NAIVE_BPE_H_

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/philox.h"
#include "pipeline/tokenizer/bpe_tokenizer.h"
#include "pipeline/tokenizer/byte_alphabet.h"
#include "pipeline/tokenizer/split_pattern.h"

namespace halcyon::pipeline {

inline std::vector<std::string> PiecesOf(const std::string& regex, std::string_view text) {
  // Compiling one takes longer than matching thousands of texts.
  static std::map<std::string, SpanPattern> patterns;
  SpanPattern& pattern = patterns[regex];
  if (pattern == nullptr) pattern = *CompilePattern(regex);
  const auto spans = pattern();
  spans->Start(text);
  std::vector<std::string> pieces;
  for (Span span; spans->NextSpan(&span);) {
    if (span.begin < span.end) pieces.emplace_back(text.substr(span.begin, span.end - span.begin));
  }
  return pieces;
}

inline const BpeVocabulary& VocabularyOf(const Tokenizer& tokenizer) {
  return dynamic_cast<const BpeTokenizer&>(tokenizer).vocabulary();
}

inline std::vector<uint32_t> NaiveEncodePiece(const BpeVocabulary& vocabulary,
                                              std::string_view piece) {
  const auto id_of = [&](std::string_view bytes) {
    const auto& tokens = vocabulary.tokens;
    return static_cast<uint32_t>(std::find(tokens.begin(), tokens.end(), bytes) - tokens.begin());
  };
  if (vocabulary.ignore_merges && id_of(piece) < vocabulary.tokens.size()) return {id_of(piece)};
  std::vector<uint32_t> ids;
  for (size_t i = 0; i < piece.size(); ++i) ids.push_back(id_of(piece.substr(i, 1)));
  // Again from the first rule after each merge: a merge may make an earlier rule apply.
  for (size_t rank = 0; rank < vocabulary.merges.size();) {
    const auto [left, right, result] = vocabulary.merges[rank++];
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      if (ids[i] != left || ids[i + 1] != right) continue;
      ids[i] = result;
      ids.erase(ids.begin() + i + 1);
      rank = 0;
      break;
    }
  }
  return ids;
}

inline std::vector<uint32_t> NaiveEncode(const Tokenizer& tokenizer, std::string_view text) {
  const BpeVocabulary& vocabulary = VocabularyOf(tokenizer);
  std::vector<uint32_t> ids;
  for (const std::string& piece : PiecesOf(vocabulary.regex, text)) {
    for (const uint32_t id : NaiveEncodePiece(vocabulary, piece)) ids.push_back(id);
  }
  return ids;
}

// Merges as (left, right, result) in the order they are learnt.
inline std::vector<std::vector<uint32_t>> NaiveTrain(const std::vector<std::string>& pieces,
                                                     uint32_t tokens_wanted) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  std::vector<std::vector<uint32_t>> texts;
  for (const std::string& piece : pieces) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(piece.data());
    texts.emplace_back(bytes, bytes + piece.size());
  }
  std::vector<std::vector<uint32_t>> merges;
  while (tokens.size() < tokens_wanted) {
    const auto place = [](uint32_t id) {
      return id < 256 ? AlphabetPoint(static_cast<uint8_t>(id)) : 0x10000 + id;
    };
    const auto comes_first = [&](const auto& a, const auto& b) {
      return std::pair(place(a.first), place(a.second)) <
             std::pair(place(b.first), place(b.second));
    };
    std::map<std::pair<uint32_t, uint32_t>, int, decltype(comes_first)> counts(comes_first);
    for (const auto& ids : texts) {
      for (size_t i = 0; i + 1 < ids.size(); ++i) ++counts[{ids[i], ids[i + 1]}];
    }
    // The first of the largest: the map goes from the pair that comes first.
    const auto best = std::max_element(counts.begin(), counts.end(),
                                       [](auto& a, auto& b) { return a.second < b.second; });
    if (best == counts.end() || best->second < 2) break;
    const auto [left, right] = best->first;
    const std::string bytes = tokens[left] + tokens[right];
    const auto result =
        static_cast<uint32_t>(std::find(tokens.begin(), tokens.end(), bytes) - tokens.begin());
    if (result == tokens.size()) tokens.push_back(bytes);
    merges.push_back({left, right, result});
    for (auto& ids : texts) {
      for (size_t i = 0; i + 1 < ids.size(); ++i) {
        if (ids[i] != left || ids[i + 1] != right) continue;
        ids[i] = result;
        ids.erase(ids.begin() + i + 1);
      }
    }
  }
  return merges;
}

// Random words over a few characters, white space, numbers, contractions and other scripts.
inline std::string RandomProse(uint64_t seed, uint64_t words) {
  static constexpr std::string_view kParts[] = {"a",
                                                "b",
                                                "ab",
                                                "aaaa",
                                                "the",
                                                "The",
                                                "THE",
                                                "re",
                                                " ",
                                                " ",
                                                "  ",
                                                "\n",
                                                "\r\n",
                                                "\n\n",
                                                "\t",
                                                "'s",
                                                "'RE",
                                                "1",
                                                "2023",
                                                ".",
                                                "...",
                                                "/",
                                                "\u00E9",
                                                "\u00FC",
                                                "\u4E2D\u6587",
                                                "\u0939\u093F",
                                                "\U0001F600",
                                                "\u00A0",
                                                "\u3000",
                                                "\u180E",
                                                "_",
                                                "<|endoftext|>"};
  const PhiloxStream stream(seed, NoiseStream::kEvaluation, 1, 0);
  std::string text;
  for (uint64_t i = 0; i < words; ++i) text += kParts[stream.Below(i, std::size(kParts))];
  return text;
}

inline std::shared_ptr<const Tokenizer> TrainOn(const std::vector<std::string>& texts,
                                                uint32_t vocab_size,
                                                const std::string& pattern = "gpt2",
                                                size_t threads = 2) {
  auto trainer =
      BpeTrainer::Create({.vocab_size = vocab_size, .pattern = pattern, .threads = threads});
  HALCYON_CHECK(trainer.ok());
  for (const std::string& text : texts) (*trainer)->Add(text);
  auto tokenizer = (*trainer)->Train();
  HALCYON_CHECK(tokenizer.ok());
  return *tokenizer;
}

inline std::vector<uint32_t> Encode(const std::shared_ptr<const Tokenizer>& tokenizer,
                                    std::string_view text) {
  std::vector<uint32_t> ids;
  Encoder::Create(tokenizer)->Encode(text, &ids);
  return ids;
}

}  // namespace halcyon::pipeline

#endif  // HALCYON_TESTS_PIPELINE_TOKENIZER_NAIVE_BPE_H_
