#include "pipeline/tokenizer/json/tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "pipeline/tokenizer/bpe_tokenizer.h"
#include "pipeline/tokenizer/byte_alphabet.h"
#include "pipeline/tokenizer/json/stage_readers.h"
#include "pipeline/tokenizer/special_names.h"
#include "pipeline/tokenizer/split_pattern.h"
#include "pipeline/tokenizer/staged_tokenizer.h"

namespace halcyon::pipeline {
namespace {

using nlohmann::json;

class TokenizerReader {
 public:
  TokenizerReader(const json& root, std::string_view text) : root_(&root, ""), text_(text) {}

  absl::StatusOr<std::shared_ptr<const Tokenizer>> Read(const std::string& pattern) {
    RETURN_IF_ERROR(ReadAddedTokens());
    ASSIGN_OR_RETURN(normalizers_, ReadNormalizer(root_["normalizer"]));
    ASSIGN_OR_RETURN(pre_tokenizers_, ReadPreTokenizer(root_["pre_tokenizer"]));
    ASSIGN_OR_RETURN(model_, ReadModelNode(root_["model"], added_));
    ASSIGN_OR_RETURN(decoders_, ReadDecoder(root_["decoder"]));
    if (normalizers_.may_remove_front && pre_tokenizers_.looks_at_start) {
      return root_["pre_tokenizer"].Refuse(
          "prepend_scheme \"first\" after a normalizer that may take away the start of a text is "
          "not "
          "supported");
    }
    RETURN_IF_ERROR(PutAddedTokens());
    ASSIGN_OR_RETURN(specials_, ChooseSpecialTokens(model_.tokens, special_));
    if (std::optional<BpeVocabulary> vocabulary = AsByteBpe()) {
      if (!pattern.empty()) {
        ASSIGN_OR_RETURN(vocabulary->regex, PatternByName(pattern));
      }
      ASSIGN_OR_RETURN(std::shared_ptr<const Tokenizer> tokenizer,
                       BpeTokenizer::Create(*std::move(vocabulary)));
      return tokenizer;
    }
    if (!pattern.empty()) {
      return InvalidArgument(
          "the file says itself how text is split, and not by one expression for "
          "byte-level BPE: leave out the pattern \"" +
          pattern + "\"");
    }
    ASSIGN_OR_RETURN(std::shared_ptr<const Tokenizer> tokenizer, Staged());
    return tokenizer;
  }

 private:
  absl::Status ReadAddedTokens() {
    const JsonNode list = root_["added_tokens"];
    if (list.is_null()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::vector<JsonNode> items, list.Items());
    for (const JsonNode& item : items) {
      AddedToken token;
      ASSIGN_OR_RETURN(token.content, item["content"].String());
      if (token.content.empty()) return item["content"].Refuse("empty");
      RETURN_IF_ERROR(item["id"].Number().status());
      ASSIGN_OR_RETURN(token.special, item["special"].Bool(false));
      ASSIGN_OR_RETURN(token.single_word, item["single_word"].Bool(false));
      ASSIGN_OR_RETURN(token.lstrip, item["lstrip"].Bool(false));
      ASSIGN_OR_RETURN(token.rstrip, item["rstrip"].Bool(false));
      ASSIGN_OR_RETURN(token.normalized, item["normalized"].Bool(!token.special));
      added_.push_back(std::move(token));
      added_paths_.push_back(item.path());
    }
    return absl::OkStatus();
  }

  // The reference numbers added tokens anew, whatever their `id`: those that are not in the
  // vocabulary follow its number of tokens, and each other, in the order of the list.
  absl::Status PutAddedTokens() {
    absl::flat_hash_map<std::string, uint32_t> ids;
    for (uint32_t id = 0; id < model_.tokens.size(); ++id) {
      if (!model_.tokens[id].empty()) ids[model_.tokens[id]] = id;
    }
    uint32_t next = static_cast<uint32_t>(ids.size());
    special_.resize(model_.tokens.size(), false);
    for (size_t i = 0; i < added_.size(); ++i) {
      AddedToken& token = added_[i];
      const auto [entry, is_new] = ids.try_emplace(token.content, next);
      token.id = entry->second;
      next = std::max(next, token.id + 1);
      if (token.id >= model_.tokens.size()) {
        model_.tokens.resize(token.id + 1);
        special_.resize(token.id + 1, false);
      }
      std::string& place = model_.tokens[token.id];
      if (is_new && !place.empty()) {
        return InvalidArgument(fmt::format(
            "{}: \"{}\" would be token {}, as tokenizers numbers it, which \"{}\" is already",
            added_paths_[i], token.content, token.id, place));
      }
      place = token.content;
      special_[token.id] = token.special;
    }
    return absl::OkStatus();
  }

  // The vocabulary of the fast way, when that does the same as the stages.
  std::optional<BpeVocabulary> AsByteBpe() const {
    const BpeOptions& options = model_.bpe;
    const bool is_plain = normalizers_.steps.empty() && pre_tokenizers_.byte_level_regex &&
                          model_.model == nullptr && options.continuing_prefix.empty() &&
                          options.end_suffix.empty() &&
                          (decoders_.steps.empty() || decoders_.is_byte_level);
    if (!is_plain) return std::nullopt;
    for (const AddedToken& token : added_) {
      if (!token.special) return std::nullopt;
    }
    BpeVocabulary vocabulary;
    vocabulary.regex = *pre_tokenizers_.byte_level_regex;
    vocabulary.ignore_merges = options.ignore_merges;
    vocabulary.end_of_text = specials_.end_of_text;
    vocabulary.padding = specials_.padding;
    vocabulary.special = special_;
    absl::flat_hash_map<std::string, uint32_t> ids;
    for (uint32_t id = 0; id < model_.tokens.size(); ++id) {
      const std::string& token = model_.tokens[id];
      if (token.empty()) {  // no token has this id
        vocabulary.tokens.emplace_back();
        continue;
      }
      std::optional<std::string> bytes = special_[id] ? token : ReadSpelling(token);
      if (!bytes || bytes->empty()) return std::nullopt;
      vocabulary.tokens.push_back(*std::move(bytes));
      ids[token] = id;
    }
    for (int byte = 0; byte < 256; ++byte) {
      if (!ids.contains(SpellBytes(std::string(1, static_cast<char>(byte))))) return std::nullopt;
    }
    for (const auto& [left, right] : model_.merges) {
      const auto a = ids.find(left), b = ids.find(right), result = ids.find(left + right);
      if (a == ids.end() || b == ids.end() || result == ids.end()) return std::nullopt;
      vocabulary.merges.push_back({a->second, b->second, result->second});
    }
    return vocabulary;
  }

  absl::StatusOr<std::shared_ptr<const StagedTokenizer>> Staged() {
    TokenizerStages stages;
    stages.tokens = std::move(model_.tokens);
    stages.special = std::move(special_);
    stages.added = std::move(added_);
    stages.normalizers = std::move(normalizers_.steps);
    stages.pre_tokenizers = std::move(pre_tokenizers_.steps);
    stages.model = std::move(model_.model);
    if (stages.model == nullptr) {
      ASSIGN_OR_RETURN(stages.model,
                       MakeBpeModel(std::move(model_.text_tokens), model_.merges, model_.bpe),
                       "model");
    }
    if (decoders_.steps.empty()) stages.separator = " ";
    stages.decoders = std::move(decoders_.steps);
    stages.end_of_text = specials_.end_of_text;
    stages.padding = specials_.padding;
    stages.json = std::string(text_);
    return StagedTokenizer::Create(std::move(stages));
  }

  const JsonNode root_;
  const std::string_view text_;
  std::vector<AddedToken> added_;
  std::vector<std::string> added_paths_;  // in the document
  ReadNormalizers normalizers_;
  ReadPreTokenizers pre_tokenizers_;
  ReadModel model_;
  ReadDecoders decoders_;
  std::vector<bool> special_;  // by id
  SpecialTokens specials_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Tokenizer>> ReadTokenizerJson(std::string_view text,
                                                                   const std::string& pattern) {
  try {
    const json root = json::parse(text);
    return TokenizerReader(root, text).Read(pattern);
  } catch (const json::parse_error& error) {
    return InvalidArgument(
        fmt::format("no whole JSON: it ends or has a mistake at byte {} of {}; copy the file again",
                    std::min(error.byte, text.size()), text.size()));
  } catch (const json::exception& error) {
    return InvalidArgument(error.what());
  }
}

}  // namespace halcyon::pipeline
