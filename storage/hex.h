// Hexadecimal digits as bytes; absl::BytesToHexString is the way back.
#ifndef HALCYON_STORAGE_HEX_H_
#define HALCYON_STORAGE_HEX_H_

#include <optional>
#include <string>
#include <string_view>

namespace halcyon::storage {

// Nothing unless `hex` is an even number of lowercase digits: one value has one spelling.
std::optional<std::string> BytesFromHex(std::string_view hex);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_HEX_H_
