#include "pipeline/tokenizer/stored_json.h"

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "pipeline/tokenizer/json/json_node.h"
#include "pipeline/tokenizer/sentencepiece/sentencepiece_tokenizer.h"
#include "pipeline/tokenizer/tiktoken_file.h"

namespace halcyon::pipeline {
namespace {

using nlohmann::ordered_json;

constexpr char kMark[] = "halcyon_tokenizer";
constexpr int kVersion = 1;

std::string InBase64(std::string_view bytes) { return absl::Base64Escape(ToAbsl(bytes)); }

absl::StatusOr<std::shared_ptr<const Tokenizer>> ReadStoredRanks(const JsonNode& root) {
  ASSIGN_OR_RETURN(const std::string ranks, root["ranks"].String());
  ASSIGN_OR_RETURN(const std::string pattern, root["pattern"].String());
  SpecialIds specials;
  const JsonNode list = root["special_tokens"];
  for (const auto& [name, id] : list.value().items()) {
    if (!id.is_number_unsigned() || id > 0xFFFFFFFFu) return list.Refuse("not names and ids");
    specials[id.get<uint32_t>()] = name;
  }
  return MakeTiktoken(ranks, pattern, specials);
}

}  // namespace

std::string StoreSentencePiece(std::string_view model) {
  const ordered_json root = {
      {kMark, kVersion}, {"kind", "sentencepiece"}, {"model", InBase64(model)}};
  return root.dump(1) + "\n";
}

std::string StoreTiktoken(const BpeVocabulary& vocabulary) {
  std::string ranks;
  ordered_json specials = ordered_json::object();
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    if (!vocabulary.special[id]) {
      ranks += InBase64(token) + " " + std::to_string(id) + "\n";
    } else if (!token.empty()) {
      specials[token] = id;
    }
  }
  const ordered_json root = {{kMark, kVersion},
                             {"kind", "tiktoken"},
                             {"pattern", vocabulary.regex},
                             {"special_tokens", specials},
                             {"ranks", ranks}};
  return root.dump(1) + "\n";
}

bool IsStored(std::string_view json) {
  // It is the first member of what is written here.
  return json.substr(0, 64).find(kMark) != std::string_view::npos;
}

absl::StatusOr<std::shared_ptr<const Tokenizer>> ReadStored(std::string_view text) {
  try {
    const nlohmann::json document = nlohmann::json::parse(text);
    const JsonNode root(&document, "");
    if (root[kMark].value() != kVersion) return root[kMark].Refuse("a version that is not known");
    ASSIGN_OR_RETURN(const std::string kind, root["kind"].String());
    if (kind == "tiktoken") return ReadStoredRanks(root);
    if (kind != "sentencepiece") return root["kind"].Unsupported();
    ASSIGN_OR_RETURN(const std::string model, root["model"].String());
    std::string bytes;
    if (!absl::Base64Unescape(model, &bytes)) return root["model"].Refuse("not base64");
    return ReadSentencePiece(bytes);
  } catch (const nlohmann::json::exception& error) {
    return InvalidArgument(error.what());
  }
}

}  // namespace halcyon::pipeline
