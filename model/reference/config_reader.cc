#include "model/reference/config_reader.h"

namespace halcyon::model {

using nlohmann::json;

ConfigReader::ConfigReader(const json& config) : config_(config) {
  if (!config.is_object()) Add("is no object");
}

const json* ConfigReader::Find(const char* name) const {
  if (!config_.is_object()) return nullptr;
  const auto found = config_.find(name);
  return found == config_.end() || found->is_null() ? nullptr : &*found;
}

int64_t ConfigReader::Integer(const char* name, std::optional<int64_t> otherwise) {
  const json* value = Find(name);
  if (value == nullptr) {
    if (!otherwise) Add(std::string(name) + " is missing");
    return otherwise.value_or(0);
  }
  if (value->is_number_integer() && *value >= 0 && *value <= int64_t{1} << 62) {
    return value->get<int64_t>();
  }
  Add(std::string(name) + " = " + value->dump() + " is no count");
  return 0;
}

double ConfigReader::Number(const char* name, double otherwise) {
  const json* value = Find(name);
  if (value == nullptr) return otherwise;
  if (value->is_number()) return value->get<double>();
  Add(std::string(name) + " = " + value->dump() + " is no number");
  return otherwise;
}

bool ConfigReader::Boolean(const char* name, bool otherwise) {
  const json* value = Find(name);
  if (value == nullptr) return otherwise;
  if (value->is_boolean()) return value->get<bool>();
  Add(std::string(name) + " = " + value->dump() + " is neither true nor false");
  return otherwise;
}

void ConfigReader::Expect(const char* name, const json& supported) {
  const json* value = Find(name);
  if (value == nullptr || *value == supported) return;
  Add(std::string(name) + " = " + value->dump() + " is not supported, only " + supported.dump());
}

void ConfigReader::Add(const std::string& problem) {
  problems_ += (problems_.empty() ? "" : "; ") + problem;
}

absl::Status ConfigReader::status() const {
  return problems_.empty() ? absl::OkStatus() : InvalidArgument("config.json: " + problems_);
}

}  // namespace halcyon::model
