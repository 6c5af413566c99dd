// JSON read from files that may be damaged or written by other programs: text that is accepted here
// has one meaning only. kDataLoss, saying where, for: no JSON, bytes after it, invalid UTF-8, a NUL
// byte, a name twice in one object, nesting deeper than kJsonDepthMax.
#ifndef HALCYON_STORAGE_STRICT_JSON_H_
#define HALCYON_STORAGE_STRICT_JSON_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace halcyon::storage {

inline constexpr size_t kJsonDepthMax = 64;

absl::StatusOr<nlohmann::json> ParseStrictJson(std::string_view text);

// The member `name` of an object. The pointer lives as long as `object`. kDataLoss, naming the
// member, when `object` is none or lacks it; the typed ones also when the value is of another type.
absl::StatusOr<const nlohmann::json*> Member(const nlohmann::json& object, const char* name);
absl::StatusOr<int64_t> IntegerMember(const nlohmann::json& object, const char* name);
absl::StatusOr<uint64_t> UnsignedMember(const nlohmann::json& object, const char* name);
absl::StatusOr<std::string> StringMember(const nlohmann::json& object, const char* name);
absl::StatusOr<const nlohmann::json*> ArrayMember(const nlohmann::json& object, const char* name);
absl::StatusOr<std::map<std::string, std::string>> StringMapMember(const nlohmann::json& object,
                                                                   const char* name);
// A tensor's shape: integers that are not negative.
absl::StatusOr<std::vector<int64_t>> ShapeMember(const nlohmann::json& object, const char* name);

// The number of elements of a shape; kDataLoss when an extent is negative or the product overflows.
absl::StatusOr<uint64_t> ElementCount(const std::vector<int64_t>& shape);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_STRICT_JSON_H_
