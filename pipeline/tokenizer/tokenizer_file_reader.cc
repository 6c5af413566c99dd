#include "pipeline/tokenizer/tokenizer_file.h"

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "pipeline/tokenizer/byte_alphabet.h"

namespace halcyon::pipeline {
namespace {

using nlohmann::json;

// In the order in which they are looked for; each is the name in some family of models.
constexpr std::array<std::string_view, 4> kEndOfTextNames = {kEndOfText, "</s>", "<|end_of_text|>",
                                                             "<eos>"};
constexpr std::array<std::string_view, 3> kPaddingNames = {kPadding, "<pad>", "[PAD]"};

absl::Status Unsupported(const std::string& where, const std::string& what) {
  return InvalidArgument(where + ": " + what + " is not supported");
}

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  out.append(text).append("\"");
  return out;
}

// The member, or null where it is missing or `object` is none.
const json& Member(const json& object, const char* name) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

std::string StringMember(const json& object, const char* name) {
  const json& value = Member(object, name);
  return value.is_string() ? value.get<std::string>() : std::string();
}

bool BoolMember(const json& object, const char* name, bool otherwise) {
  const json& value = Member(object, name);
  return value.is_boolean() ? value.get<bool>() : otherwise;
}

bool IsEmpty(const json& value) { return value.is_null() || value == "" || value == 0.0; }

// Reads the parts of one document into a vocabulary.
class Reader {
 public:
  explicit Reader(const json& root) : root_(root), model_(Member(root, "model")) {}

  absl::StatusOr<BpeVocabulary> Read() {
    RETURN_IF_ERROR(CheckModel());
    RETURN_IF_ERROR(ReadPreTokenizer());
    RETURN_IF_ERROR(ReadAddedTokens());
    RETURN_IF_ERROR(ReadVocabulary());
    RETURN_IF_ERROR(CheckDense());
    RETURN_IF_ERROR(ReadMerges());
    RETURN_IF_ERROR(ChooseSpecials());
    return std::move(out_);
  }

 private:
  absl::Status CheckModel() {
    if (!model_.is_object()) return InvalidArgument("model: missing; is it a tokenizer.json?");
    const std::string type = StringMember(model_, "type");
    if (type != "BPE" && !(type.empty() && model_.contains("merges"))) {
      return Unsupported("model.type", Quoted(type) + " (only BPE is)");
    }
    for (const char* option : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
      if (!IsEmpty(Member(model_, option))) return Unsupported("model", option);
    }
    if (BoolMember(model_, "byte_fallback", false)) return Unsupported("model", "byte_fallback");
    if (!Member(root_, "normalizer").is_null()) {
      return Unsupported("normalizer", Quoted(StringMember(root_["normalizer"], "type")));
    }
    out_.ignore_merges = BoolMember(model_, "ignore_merges", false);
    return absl::OkStatus();
  }

  absl::Status ReadPreTokenizer() {
    const std::string where = "pre_tokenizer";
    const json& top = Member(root_, "pre_tokenizer");
    std::vector<const json*> steps = {&top};
    if (StringMember(top, "type") == "Sequence") {
      steps.clear();
      for (const json& step : Member(top, "pretokenizers")) steps.push_back(&step);
    }
    if (steps.empty() || steps.size() > 2 || StringMember(*steps.back(), "type") != "ByteLevel" ||
        (steps.size() == 2 && StringMember(*steps[0], "type") != "Split")) {
      return Unsupported(where, "anything but ByteLevel, or Split and then ByteLevel,");
    }
    if (BoolMember(*steps.back(), "add_prefix_space", true)) {
      return Unsupported(where, "add_prefix_space");
    }
    if (BoolMember(*steps.back(), "use_regex", true) == (steps.size() == 2)) {
      return Unsupported(where, "none or two expressions (use_regex)");
    }
    if (steps.size() == 1) {
      ASSIGN_OR_RETURN(out_.regex, PatternByName("gpt2"));
      return absl::OkStatus();
    }
    return ReadSplit(*steps[0]);
  }

  absl::Status ReadSplit(const json& split) {
    const std::string behavior = StringMember(split, "behavior");
    const bool invert = BoolMember(split, "invert", false);
    // Removed and inverted keeps the matches; the expressions written so match all text.
    if (!(behavior == "Isolated" && !invert) && !(behavior == "Removed" && invert)) {
      return Unsupported("pre_tokenizer.Split", "behavior " + Quoted(behavior) + " with invert " +
                                                    (invert ? "true" : "false"));
    }
    out_.regex = StringMember(Member(split, "pattern"), "Regex");
    if (out_.regex.empty()) return Unsupported("pre_tokenizer.Split", "a pattern without Regex");
    return absl::OkStatus();
  }

  absl::Status ReadAddedTokens() {
    for (const json& token : Member(root_, "added_tokens")) {
      const std::string content = StringMember(token, "content");
      if (content.empty()) return InvalidArgument("added_tokens: a token without content");
      if (!BoolMember(token, "special", false)) {
        return Unsupported("added_tokens", Quoted(content) + ", which is not special,");
      }
      ASSIGN_OR_RETURN(const uint32_t id, IdOf(Member(token, "id")));
      RETURN_IF_ERROR(Put(id, content, true));
    }
    return absl::OkStatus();
  }

  absl::Status ReadVocabulary() {
    const json& vocab = Member(model_, "vocab");
    if (!vocab.is_object()) return InvalidArgument("model.vocab: missing");
    for (const auto& [spelling, value] : vocab.items()) {
      ASSIGN_OR_RETURN(const uint32_t id, IdOf(value));
      if (id < out_.tokens.size() && out_.special[id] && out_.tokens[id] == spelling) continue;
      const std::optional<std::string> bytes = ReadSpelling(spelling);
      if (!bytes || bytes->empty()) {
        return Unsupported("model.vocab", Quoted(spelling) + ", which is not byte-level,");
      }
      RETURN_IF_ERROR(Put(id, *bytes, false));
      id_of_spelling_.emplace(spelling, id);
    }
    return absl::OkStatus();
  }

  // Ids are dense, so their number bounds them.
  absl::StatusOr<uint32_t> IdOf(const json& value) const {
    const size_t ids = Member(model_, "vocab").size() + Member(root_, "added_tokens").size();
    if (!value.is_number_unsigned() || value.get<uint64_t>() >= ids) {
      return InvalidArgument("the id " + value.dump() + " is not below the number of tokens, " +
                             std::to_string(ids));
    }
    return value.get<uint32_t>();
  }

  absl::Status Put(uint32_t id, const std::string& token, bool special) {
    if (id >= out_.tokens.size()) {
      out_.tokens.resize(id + 1);
      out_.special.resize(id + 1, false);
    }
    if (!out_.tokens[id].empty()) {
      return InvalidArgument("two tokens have the id " + std::to_string(id));
    }
    out_.tokens[id] = token;
    out_.special[id] = special;
    return absl::OkStatus();
  }

  absl::Status CheckDense() {
    for (size_t id = 0; id < out_.tokens.size(); ++id) {
      if (out_.tokens[id].empty()) {
        return InvalidArgument("model.vocab: no token has the id " + std::to_string(id));
      }
    }
    return absl::OkStatus();
  }

  absl::Status ReadMerges() {
    for (const json& merge : Member(model_, "merges")) {
      std::string left, right;
      if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
        left = merge[0].get<std::string>();
        right = merge[1].get<std::string>();
      } else if (merge.is_string()) {
        const std::string text = merge.get<std::string>();
        const size_t space = text.find(' ');
        left = text.substr(0, space);
        right = space == std::string::npos ? "" : text.substr(space + 1);
      }
      const auto a = id_of_spelling_.find(left), b = id_of_spelling_.find(right);
      const auto result = id_of_spelling_.find(left + right);
      if (a == id_of_spelling_.end() || b == id_of_spelling_.end() ||
          result == id_of_spelling_.end()) {
        return InvalidArgument("model.merges[" + std::to_string(out_.merges.size()) +
                               "]: not two tokens whose bytes together are a token");
      }
      out_.merges.push_back({a->second, b->second, result->second});
    }
    return absl::OkStatus();
  }

  std::optional<uint32_t> FindSpecial(std::span<const std::string_view> names) const {
    for (const std::string_view name : names) {
      for (uint32_t id = 0; id < out_.tokens.size(); ++id) {
        if (out_.special[id] && out_.tokens[id] == name) return id;
      }
    }
    return std::nullopt;
  }

  absl::Status ChooseSpecials() {
    const std::optional<uint32_t> end_of_text = FindSpecial(kEndOfTextNames);
    if (!end_of_text) {
      std::string names;
      for (const std::string_view name : kEndOfTextNames) names.append(" ").append(name);
      return InvalidArgument("added_tokens: none ends a text; add one of" + names);
    }
    out_.end_of_text = *end_of_text;
    out_.padding = FindSpecial(kPaddingNames).value_or(*end_of_text);
    return absl::OkStatus();
  }

  const json& root_;
  const json& model_;
  BpeVocabulary out_;
  absl::flat_hash_map<std::string, uint32_t> id_of_spelling_;  // no special tokens
};

}  // namespace

absl::StatusOr<BpeVocabulary> ParseTokenizerJson(std::string_view text) {
  try {
    const json root = json::parse(text);
    return Reader(root).Read();
  } catch (const json::exception& error) {
    return InvalidArgument(error.what());
  }
}

}  // namespace halcyon::pipeline
