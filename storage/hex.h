// Bytes as lowercase hexadecimal digits.
#ifndef HALCYON_STORAGE_HEX_H_
#define HALCYON_STORAGE_HEX_H_

#include <optional>
#include <string>
#include <string_view>

namespace halcyon::storage {

std::string HexFromBytes(std::string_view bytes);
// Nothing unless `hex` is an even number of lowercase digits.
std::optional<std::string> BytesFromHex(std::string_view hex);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_HEX_H_
