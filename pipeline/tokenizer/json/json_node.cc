#include "pipeline/tokenizer/json/json_node.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace halcyon::pipeline {

bool JsonNode::is_null() const { return value_->is_null(); }

JsonNode JsonNode::operator[](std::string_view name) const {
  static const nlohmann::json kNull;
  const std::string path = path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
  if (!value_->is_object()) return {&kNull, path};
  const auto found = value_->find(std::string(name));
  return {found == value_->end() ? &kNull : &*found, path};
}

absl::StatusOr<std::vector<JsonNode>> JsonNode::Items() const {
  if (!value_->is_array()) return Refuse(is_null() ? "missing" : "not a list");
  std::vector<JsonNode> items;
  for (const nlohmann::json& item : *value_) {
    items.emplace_back(&item, fmt::format("{}[{}]", path_, items.size()));
  }
  return items;
}

absl::StatusOr<std::string> JsonNode::String() const {
  if (!value_->is_string()) return Refuse(is_null() ? "missing" : "not a string");
  return value_->get<std::string>();
}

absl::StatusOr<bool> JsonNode::Bool(std::optional<bool> otherwise) const {
  if (is_null() && otherwise) return *otherwise;
  if (!value_->is_boolean()) return Refuse(is_null() ? "missing" : "not true or false");
  return value_->get<bool>();
}

absl::StatusOr<uint64_t> JsonNode::Number() const {
  if (!value_->is_number_unsigned()) return Refuse(is_null() ? "missing" : "not a whole number");
  return value_->get<uint64_t>();
}

absl::Status JsonNode::Refuse(std::string_view what) const {
  return InvalidArgument(fmt::format("{}: {}", path_, what));
}

absl::Status JsonNode::Unsupported() const {
  if (!value_->is_string()) return Refuse("missing");
  return Refuse(fmt::format("\"{}\" is not supported", value_->get<std::string>()));
}

}  // namespace halcyon::pipeline
