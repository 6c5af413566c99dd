#include <nlohmann/json.hpp>

#include "pipeline/tokenizer/json/stage_readers.h"
#include "pipeline/tokenizer/split_pattern.h"

namespace halcyon::pipeline {
namespace {

absl::Status AddBert(const JsonNode& node, ReadNormalizers* out) {
  BertNormalizerOptions options;
  ASSIGN_OR_RETURN(options.clean_text, node["clean_text"].Bool());
  ASSIGN_OR_RETURN(options.handle_chinese_chars, node["handle_chinese_chars"].Bool());
  ASSIGN_OR_RETURN(options.lowercase, node["lowercase"].Bool());
  ASSIGN_OR_RETURN(options.strip_accents, node["strip_accents"].Bool(options.lowercase));
  out->steps.push_back(BertNormalizer(options));
  out->may_remove_front = true;
  return absl::OkStatus();
}

absl::Status AddReplace(const JsonNode& node, ReadNormalizers* out) {
  ASSIGN_OR_RETURN(SpanPattern pattern, ReadPattern(node["pattern"]));
  ASSIGN_OR_RETURN(std::string content, node["content"].String());
  out->may_remove_front |= content.empty();
  out->steps.push_back(ReplaceNormalizer(std::move(pattern), std::move(content)));
  return absl::OkStatus();
}

absl::Status AddNormalizer(const JsonNode& node, ReadNormalizers* out) {
  ASSIGN_OR_RETURN(const std::string type, node["type"].String());
  const auto add = [out](Normalizer normalizer) {
    out->steps.push_back(std::move(normalizer));
    return absl::OkStatus();
  };
  if (type == "NFC") return add(FormNormalizer(UnicodeForm::kNfc));
  if (type == "NFD") return add(FormNormalizer(UnicodeForm::kNfd));
  if (type == "NFKC") return add(FormNormalizer(UnicodeForm::kNfkc));
  if (type == "NFKD") return add(FormNormalizer(UnicodeForm::kNfkd));
  if (type == "Lowercase") return add(LowercaseNormalizer());
  if (type == "BertNormalizer") return AddBert(node, out);
  if (type == "Replace") return AddReplace(node, out);
  if (type == "StripAccents") {
    out->may_remove_front = true;
    return add(StripAccentsNormalizer());
  }
  if (type == "Strip") {
    ASSIGN_OR_RETURN(const bool left, node["strip_left"].Bool());
    ASSIGN_OR_RETURN(const bool right, node["strip_right"].Bool());
    out->may_remove_front |= left;
    return add(StripNormalizer(left, right));
  }
  if (type == "Prepend") {
    ASSIGN_OR_RETURN(std::string prefix, node["prepend"].String());
    return add(PrependNormalizer(std::move(prefix)));
  }
  if (type == "Sequence") {
    ASSIGN_OR_RETURN(const std::vector<JsonNode> steps, node["normalizers"].Items());
    for (const JsonNode& step : steps) RETURN_IF_ERROR(AddNormalizer(step, out));
    return absl::OkStatus();
  }
  return node["type"].Unsupported();
}

}  // namespace

absl::StatusOr<SpanPattern> ReadPattern(const JsonNode& node) {
  const JsonNode literal = node["String"];
  if (!literal.is_null()) {
    ASSIGN_OR_RETURN(const std::string text, literal.String());
    if (text.empty()) return literal.Refuse("empty, which matches everywhere");
    return MatchesOf(text);
  }
  ASSIGN_OR_RETURN(const std::string regex, node["Regex"].String());
  ASSIGN_OR_RETURN(SpanPattern pattern, CompilePattern(regex), node["Regex"].path());
  return pattern;
}

absl::StatusOr<ReadNormalizers> ReadNormalizer(const JsonNode& node) {
  ReadNormalizers out;
  if (!node.is_null()) RETURN_IF_ERROR(AddNormalizer(node, &out));
  return out;
}

}  // namespace halcyon::pipeline
