// Hexadecimal digits as bytes; absl::BytesToHexString is the inverse.
#ifndef HALCYON_STORAGE_HEX_H_
#define HALCYON_STORAGE_HEX_H_

#include <optional>
#include <string>
#include <string_view>

namespace halcyon::storage {

// nullopt unless `hex` is an even number of lowercase digits: each value has one spelling.
std::optional<std::string> BytesFromHex(std::string_view hex);

// Whether it is a SHA-256: 64 lowercase digits.
bool IsDigest(std::string_view hex);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_HEX_H_
