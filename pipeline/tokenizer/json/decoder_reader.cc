#include <nlohmann/json.hpp>

#include "pipeline/tokenizer/json/stage_readers.h"

namespace halcyon::pipeline {
namespace {

absl::StatusOr<Decoder> ReadOneDecoder(const JsonNode& node, const std::string& type) {
  if (type == "ByteLevel") return ByteLevelDecoder();
  if (type == "ByteFallback") return ByteFallbackDecoder();
  if (type == "Fuse") return FuseDecoder();
  if (type == "Metaspace") {
    ASSIGN_OR_RETURN(std::string replacement, node["replacement"].String());
    const JsonNode scheme = node["prepend_scheme"];
    const bool never = scheme.value() == "never" || node["add_prefix_space"].value() == false;
    return MetaspaceDecoder(std::move(replacement), !never);
  }
  if (type == "WordPiece") {
    ASSIGN_OR_RETURN(std::string prefix, node["prefix"].String());
    ASSIGN_OR_RETURN(const bool cleanup, node["cleanup"].Bool());
    return WordPieceDecoder(std::move(prefix), cleanup);
  }
  if (type == "BPEDecoder") {
    ASSIGN_OR_RETURN(std::string suffix, node["suffix"].String());
    return BpeSuffixDecoder(std::move(suffix));
  }
  if (type == "Replace") {
    ASSIGN_OR_RETURN(SpanPattern pattern, ReadPattern(node["pattern"]));
    ASSIGN_OR_RETURN(std::string content, node["content"].String());
    return ReplaceDecoder(std::move(pattern), std::move(content));
  }
  if (type == "Strip") {
    ASSIGN_OR_RETURN(std::string content, node["content"].String());
    if (content.empty()) return node["content"].Refuse("empty");
    ASSIGN_OR_RETURN(const uint64_t start, node["start"].Number());
    ASSIGN_OR_RETURN(const uint64_t stop, node["stop"].Number());
    return StripDecoder(std::move(content), start, stop);
  }
  return node["type"].Unsupported();
}

absl::Status AddDecoder(const JsonNode& node, ReadDecoders* out) {
  ASSIGN_OR_RETURN(const std::string type, node["type"].String());
  if (type == "Sequence") {
    ASSIGN_OR_RETURN(const std::vector<JsonNode> steps, node["decoders"].Items());
    for (const JsonNode& step : steps) RETURN_IF_ERROR(AddDecoder(step, out));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(Decoder decoder, ReadOneDecoder(node, type));
  out->is_byte_level = type == "ByteLevel" && out->steps.empty();
  out->steps.push_back(std::move(decoder));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ReadDecoders> ReadDecoder(const JsonNode& node) {
  ReadDecoders out;
  if (!node.is_null()) RETURN_IF_ERROR(AddDecoder(node, &out));
  return out;
}

}  // namespace halcyon::pipeline
