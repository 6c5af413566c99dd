// Reads members of a config.json from other software, and collects what is wrong with them.
// Internal to model/reference/reference_config.cc.
#ifndef HALCYON_MODEL_REFERENCE_CONFIG_READER_H_
#define HALCYON_MODEL_REFERENCE_CONFIG_READER_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/status.h"

namespace halcyon::model {

// Null counts as missing: the published tools write it for what is not set.
class ConfigReader {
 public:
  // Keeps a reference.
  explicit ConfigReader(const nlohmann::json& config);

  // Null when missing.
  const nlohmann::json* Find(const char* name) const;
  // A value of the wrong type is a problem, and so is a missing one without `otherwise`.
  int64_t Integer(const char* name, std::optional<int64_t> otherwise = std::nullopt);
  double Number(const char* name, double otherwise);
  bool Boolean(const char* name, bool otherwise);
  // A key of which only one value is supported, which is also its default.
  void Expect(const char* name, const nlohmann::json& supported);

  void Add(const std::string& problem);
  // kInvalidArgument with all problems.
  absl::Status status() const;

 private:
  const nlohmann::json& config_;
  std::string problems_;
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_REFERENCE_CONFIG_READER_H_
