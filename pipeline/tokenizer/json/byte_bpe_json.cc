#include "pipeline/tokenizer/json/byte_bpe_json.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "pipeline/tokenizer/byte_alphabet.h"

namespace halcyon::pipeline {
namespace {

using nlohmann::ordered_json;

ordered_json AddedTokenJson(uint32_t id, const std::string& content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

ordered_json ByteLevel() {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", false}};
}

}  // namespace

std::string WriteTokenizerJson(const BpeVocabulary& vocabulary) {
  ordered_json added = ordered_json::array();
  ordered_json::object_t vocab;
  vocab.reserve(vocabulary.tokens.size());
  for (uint32_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    if (token.empty()) continue;  // no token has this id
    if (vocabulary.special[id]) added.push_back(AddedTokenJson(id, token));
    // Straight to the end: the object's own insertion compares with every key before.
    vocab.emplace_back(vocabulary.special[id] ? token : SpellBytes(token), id);
  }
  ordered_json merges = ordered_json::array();
  for (const BpeMerge& merge : vocabulary.merges) {
    merges.push_back(SpellBytes(vocabulary.tokens[merge.left]) + ' ' +
                     SpellBytes(vocabulary.tokens[merge.right]));
  }
  const ordered_json split = {{"type", "Split"},
                              {"pattern", {{"Regex", vocabulary.regex}}},
                              {"behavior", "Isolated"},
                              {"invert", false}};
  ordered_json root = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  root["added_tokens"] = std::move(added);
  root["normalizer"] = nullptr;
  root["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers", ordered_json::array({split, ByteLevel()})}};
  root["post_processor"] = nullptr;
  root["decoder"] = ByteLevel();
  root["model"] = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", nullptr},
                   {"continuing_subword_prefix", nullptr},
                   {"end_of_word_suffix", nullptr},
                   {"fuse_unk", false},
                   {"byte_fallback", false},
                   {"ignore_merges", vocabulary.ignore_merges}};
  root["model"]["vocab"] = std::move(vocab);
  root["model"]["merges"] = std::move(merges);
  return root.dump(1) + "\n";
}

}  // namespace halcyon::pipeline
