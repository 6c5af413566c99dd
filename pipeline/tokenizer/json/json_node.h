// A value of a JSON document that knows its place, for messages. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_JSON_JSON_NODE_H_
#define HALCYON_PIPELINE_TOKENIZER_JSON_JSON_NODE_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace halcyon::pipeline {

// Does not own the document.
class JsonNode {
 public:
  JsonNode(const nlohmann::json* value, std::string path) : value_(value), path_(std::move(path)) {}

  const nlohmann::json& value() const { return *value_; }
  const std::string& path() const { return path_; }
  bool is_null() const;

  // The member; a null where it is missing or this is no object.
  JsonNode operator[](std::string_view name) const;
  // kInvalidArgument: no array.
  absl::StatusOr<std::vector<JsonNode>> Items() const;

  // kInvalidArgument: another type, or missing where there is no `otherwise`.
  absl::StatusOr<std::string> String() const;
  absl::StatusOr<bool> Bool(std::optional<bool> otherwise = std::nullopt) const;
  absl::StatusOr<uint64_t> Number() const;  // a whole one, not negative

  // "normalizer.type: " and `what`.
  absl::Status Refuse(std::string_view what) const;
  // "normalizer.type: \"Nmt\" is not supported", of a string.
  absl::Status Unsupported() const;

 private:
  const nlohmann::json* value_;
  std::string path_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_JSON_JSON_NODE_H_
