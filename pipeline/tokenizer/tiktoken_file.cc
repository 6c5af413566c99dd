#include "pipeline/tokenizer/tiktoken_file.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "base/digest.h"
#include "pipeline/quote_bytes.h"
#include "pipeline/tokenizer/bpe_tokenizer.h"
#include "pipeline/tokenizer/special_names.h"

namespace halcyon::pipeline {
namespace {

constexpr size_t kLineBytesMax = 1 << 16;
constexpr uint32_t kRanksMax = 1 << 24;

struct RankLine {
  std::string token;
  uint32_t rank = 0;
};

std::optional<RankLine> ReadRankLine(std::string_view line) {
  const size_t space = line.find(' ');
  if (space == 0 || space == std::string_view::npos || line.size() > kLineBytesMax) {
    return std::nullopt;
  }
  RankLine read;
  const std::string_view number = line.substr(space + 1);
  const auto [end, error] =
      std::from_chars(number.data(), number.data() + number.size(), read.rank);
  if (error != std::errc() || end != number.data() + number.size()) return std::nullopt;
  if (!absl::Base64Unescape(ToAbsl(line.substr(0, space)), &read.token)) return std::nullopt;
  return read.token.empty() ? std::nullopt : std::optional(std::move(read));
}

std::string_view TakeLine(std::string_view* text) {
  std::string_view line = text->substr(0, text->find('\n'));
  text->remove_prefix(std::min(line.size() + 1, text->size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// By rank; "" for a rank that no token has.
absl::StatusOr<std::vector<std::string>> ReadRanks(std::string_view file) {
  std::map<uint32_t, std::string> by_rank;
  for (size_t number = 1; !file.empty(); ++number) {
    const std::string_view line = TakeLine(&file);
    if (line.empty()) continue;
    std::optional<RankLine> read = ReadRankLine(line);
    const std::string where = "line " + std::to_string(number) + ": ";
    if (!read) return InvalidArgument(where + QuoteBytes(line) + " is not a token and its rank");
    if (read->rank >= kRanksMax) return InvalidArgument(where + "the rank is too large");
    if (!by_rank.emplace(read->rank, std::move(read->token)).second) {
      return InvalidArgument(where + "two tokens have the rank " + std::to_string(read->rank));
    }
  }
  std::vector<std::string> tokens;
  for (auto& [rank, token] : by_rank) {
    tokens.resize(rank);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

// The files of tiktoken 0.14's openai_public.py.
std::string PublishedPattern(std::string_view file) {
  static constexpr std::pair<std::string_view, std::string_view> kPublished[] = {
      {"306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930", "gpt2"},
      {"94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069", "gpt2"},
      {"223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7", "cl100k"},
      {"446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d", "o200k"}};
  const std::string digest = Sha256::Of(file);
  for (const auto& [known, pattern] : kPublished) {
    if (known == digest) return std::string(pattern);
  }
  return "";
}

SpecialIds Llama3Specials(uint32_t first) {
  SpecialIds names;
  const std::map<uint32_t, std::string> own = {{0, "<|begin_of_text|>"},
                                               {1, "<|end_of_text|>"},
                                               {6, "<|start_header_id|>"},
                                               {7, "<|end_header_id|>"},
                                               {9, "<|eot_id|>"}};
  int reserved = 0;
  for (uint32_t i = 0; i < 256; ++i) {
    const auto found = own.find(i);
    names[first + i] = found != own.end()
                           ? found->second
                           : "<|reserved_special_token_" + std::to_string(reserved++) + "|>";
  }
  return names;
}

// Any two tokens that join to a token merge, and rank as that does.
void AddMergesOfRanks(BpeVocabulary* vocabulary) {
  vocabulary->merges_rank_by_result = true;
  absl::flat_hash_map<std::string_view, uint32_t> ids;
  for (uint32_t id = 0; id < vocabulary->tokens.size(); ++id) {
    if (!vocabulary->special[id]) ids[vocabulary->tokens[id]] = id;
  }
  for (const auto& [token, id] : ids) {
    for (size_t cut = 1; cut < token.size(); ++cut) {
      const auto left = ids.find(token.substr(0, cut)), right = ids.find(token.substr(cut));
      if (left != ids.end() && right != ids.end()) {
        vocabulary->merges.push_back({left->second, right->second, id});
      }
    }
  }
}

// Of the published encodings, by pattern and number of ranks.
SpecialIds SpecialsOf(const std::string& pattern, uint32_t ranks) {
  if (pattern == "cl100k" && ranks == 100256) {
    return {{100257, std::string(kEndOfText)},
            {100258, "<|fim_prefix|>"},
            {100259, "<|fim_middle|>"},
            {100260, "<|fim_suffix|>"},
            {100276, "<|endofprompt|>"}};
  }
  if (pattern == "o200k" && ranks == 199998) {
    return {{199999, std::string(kEndOfText)}, {200018, "<|endofprompt|>"}};
  }
  if (pattern == "llama3" && ranks == 128000) return Llama3Specials(ranks);
  // p50k_base leaves out the rank that <|endoftext|> has in r50k_base.
  if (pattern == "gpt2" && ranks == 50281) return {{50256, std::string(kEndOfText)}};
  return {{ranks, std::string(kEndOfText)}};
}

}  // namespace

bool IsTiktoken(std::string_view file) { return ReadRankLine(TakeLine(&file)).has_value(); }

absl::StatusOr<std::shared_ptr<const Tokenizer>> ReadTiktoken(std::string_view file,
                                                              const std::string& pattern) {
  ASSIGN_OR_RETURN(std::vector<std::string> tokens, ReadRanks(file));
  const std::string name = pattern.empty() ? PublishedPattern(file) : pattern;
  if (name.empty()) {
    return InvalidArgument(
        "a file of ranks does not say how text is split: give the pattern, by its name (r50k_base, "
        "cl100k_base, o200k_base, llama3) or as a regular expression");
  }
  const auto named = PatternByName(name);
  // No expression that splits text is a word: it is a name with a mistake.
  const bool is_word =
      std::ranges::all_of(name, [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_'; });
  if (!named.ok() && is_word) {
    return InvalidArgument(MessageOf(named.status()) + ", or give a regular expression");
  }
  return MakeTiktoken(file, named.ok() ? *named : name,
                      SpecialsOf(CanonicalPatternName(name), static_cast<uint32_t>(tokens.size())));
}

absl::StatusOr<std::shared_ptr<const Tokenizer>> MakeTiktoken(std::string_view file,
                                                              const std::string& regex,
                                                              const SpecialIds& specials) {
  BpeVocabulary vocabulary;
  ASSIGN_OR_RETURN(vocabulary.tokens, ReadRanks(file));
  vocabulary.regex = regex;
  vocabulary.dialect = RegexDialect::kFancyRegex;
  vocabulary.ignore_merges = true;
  for (const std::string& token : vocabulary.tokens) vocabulary.special.push_back(token.empty());
  for (const auto& [id, special] : specials) {
    if (id >= kRanksMax) return InvalidArgument("the id of " + special + " is too large");
    if (id >= vocabulary.tokens.size()) {
      vocabulary.tokens.resize(id + 1);
      vocabulary.special.resize(id + 1, true);
    }
    if (!vocabulary.tokens[id].empty()) {
      return InvalidArgument("the id of " + special + " is that of a rank");
    }
    vocabulary.tokens[id] = special;
  }
  ASSIGN_OR_RETURN(const SpecialTokens chosen,
                   ChooseSpecialTokens(vocabulary.tokens, vocabulary.special));
  vocabulary.end_of_text = chosen.end_of_text;
  vocabulary.padding = chosen.padding;
  AddMergesOfRanks(&vocabulary);
  ASSIGN_OR_RETURN(std::shared_ptr<const Tokenizer> tokenizer,
                   BpeTokenizer::Create(std::move(vocabulary)));
  return tokenizer;
}

}  // namespace halcyon::pipeline
