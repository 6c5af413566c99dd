#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "absl/container/flat_hash_set.h"
#include "pipeline/tokenizer/json/stage_readers.h"
#include "pipeline/tokenizer/models/unigram_model.h"
#include "pipeline/tokenizer/models/word_piece_model.h"

namespace halcyon::pipeline {
namespace {

using nlohmann::json;

// Ids need not be dense; what is above this is no vocabulary but a damaged file.
constexpr uint64_t kIdsMax = 1 << 24;

class ModelReader {
 public:
  ModelReader(const JsonNode& node, const std::vector<AddedToken>& added) : node_(node) {
    for (const AddedToken& token : added) {
      if (token.special) special_.insert(token.content);
    }
  }

  absl::StatusOr<ReadModel> Read() {
    if (!node_.value().is_object()) return node_.Refuse("missing; is it a tokenizer.json?");
    const JsonNode type_node = node_["type"];
    std::string type;
    if (!type_node.is_null()) {
      ASSIGN_OR_RETURN(type, type_node.String());
    } else if (!node_["merges"].is_null()) {
      type = "BPE";
    }
    ASSIGN_OR_RETURN(byte_fallback_, node_["byte_fallback"].Bool(false));
    if (type == "BPE")
      RETURN_IF_ERROR(ReadBpe());
    else if (type == "WordPiece")
      RETURN_IF_ERROR(ReadWordPiece());
    else if (type == "Unigram")
      RETURN_IF_ERROR(ReadUnigram());
    else
      return type_node.Unsupported();
    return std::move(out_);
  }

 private:
  // A byte's token stands for the byte even where the file lists it among the special ones.
  bool IsSpecial(const std::string& token) const {
    return special_.contains(token) && !(byte_fallback_ && ReadByteToken(token));
  }

  absl::Status ReadVocabulary() {
    const JsonNode vocab = node_["vocab"];
    if (!vocab.value().is_object()) return vocab.Refuse("missing");
    for (const auto& [token, value] : vocab.value().items()) {
      if (!value.is_number_unsigned() || value.get<uint64_t>() >= kIdsMax) {
        return vocab.Refuse(fmt::format("the id {} of \"{}\" is not a whole number below {}",
                                        value.dump(), token, kIdsMax));
      }
      const auto id = value.get<uint32_t>();
      if (id >= out_.tokens.size()) out_.tokens.resize(id + 1);
      if (token.empty() || !out_.tokens[id].empty()) {
        return vocab.Refuse(token.empty() ? std::string("a token is empty")
                                          : fmt::format("two tokens have the id {}", id));
      }
      out_.tokens[id] = token;
      all_[token] = id;
      if (!IsSpecial(token)) out_.text_tokens[token] = id;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<uint32_t> IdOfMember(const char* name) const {
    ASSIGN_OR_RETURN(const std::string token, node_[name].String());
    const auto id = FindToken(all_, token);
    if (!id) return node_[name].Refuse(fmt::format("\"{}\" is not in the vocabulary", token));
    return *id;
  }

  absl::StatusOr<std::string> OptionalString(const char* name) const {
    return node_[name].is_null() ? std::string() : node_[name].String();
  }

  absl::Status ReadBpe() {
    const JsonNode dropout = node_["dropout"];
    if (!dropout.is_null() && dropout.value() != 0.0) {
      return dropout.Refuse("is not supported: the ids of a text would differ from time to time");
    }
    RETURN_IF_ERROR(ReadVocabulary());
    BpeOptions& options = out_.bpe;
    if (!node_["unk_token"].is_null()) {
      ASSIGN_OR_RETURN(options.unknown, IdOfMember("unk_token"));
    }
    ASSIGN_OR_RETURN(options.fuse_unknown, node_["fuse_unk"].Bool(false));
    options.byte_fallback = byte_fallback_;
    ASSIGN_OR_RETURN(options.ignore_merges, node_["ignore_merges"].Bool(false));
    ASSIGN_OR_RETURN(options.continuing_prefix, OptionalString("continuing_subword_prefix"));
    ASSIGN_OR_RETURN(options.end_suffix, OptionalString("end_of_word_suffix"));
    RETURN_IF_ERROR(ReadMerges());
    return absl::OkStatus();
  }

  absl::Status ReadMerges() {
    const JsonNode merges = node_["merges"];
    if (!merges.value().is_array()) return merges.Refuse("missing, or not a list");
    for (const json& value : merges.value()) {
      if (value.is_array() && value.size() == 2 && value[0].is_string() && value[1].is_string()) {
        out_.merges.emplace_back(value[0].get<std::string>(), value[1].get<std::string>());
        continue;
      }
      const std::string text = value.is_string() ? value.get<std::string>() : "";
      const size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
        return InvalidArgument(
            fmt::format("{}[{}]: not two tokens", merges.path(), out_.merges.size()));
      }
      out_.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
    }
    return absl::OkStatus();
  }

  absl::Status ReadWordPiece() {
    RETURN_IF_ERROR(ReadVocabulary());
    WordPieceOptions options;
    ASSIGN_OR_RETURN(options.unknown, IdOfMember("unk_token"));
    ASSIGN_OR_RETURN(options.continuing_prefix, node_["continuing_subword_prefix"].String());
    ASSIGN_OR_RETURN(options.characters_max, node_["max_input_chars_per_word"].Number());
    out_.model = MakeWordPieceModel(out_.text_tokens, options);
    return absl::OkStatus();
  }

  absl::Status ReadUnigram() {
    ASSIGN_OR_RETURN(const std::vector<JsonNode> vocab, node_["vocab"].Items());
    std::vector<ScoredToken> tokens;
    for (const JsonNode& item : vocab) {
      const json& value = item.value();
      if (!value.is_array() || value.size() != 2 || !value[0].is_string() ||
          !value[1].is_number() || value[0].get<std::string>().empty()) {
        return item.Refuse("not a token and its score");
      }
      out_.tokens.push_back(value[0].get<std::string>());
      tokens.push_back({.token = out_.tokens.back(),
                        .score = value[1].get<double>(),
                        .in_text = !IsSpecial(out_.tokens.back())});
    }
    const JsonNode unknown = node_["unk_id"];
    if (unknown.is_null()) return unknown.Refuse("missing: unknown characters would have no token");
    ASSIGN_OR_RETURN(const uint64_t unknown_id, unknown.Number());
    if (unknown_id >= tokens.size()) return unknown.Refuse("not below the number of tokens");
    ASSIGN_OR_RETURN(out_.model,
                     MakeUnigramModel(tokens, static_cast<uint32_t>(unknown_id), byte_fallback_),
                     node_.path());
    return absl::OkStatus();
  }

  const JsonNode& node_;
  absl::flat_hash_set<std::string> special_;
  bool byte_fallback_ = false;
  TokenIds all_;
  ReadModel out_;
};

}  // namespace

absl::StatusOr<ReadModel> ReadModelNode(const JsonNode& node,
                                        const std::vector<AddedToken>& added) {
  return ModelReader(node, added).Read();
}

}  // namespace halcyon::pipeline
