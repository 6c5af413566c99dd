#include "storage/hex.h"

#include "absl/strings/escaping.h"
#include "base/status.h"

namespace halcyon::storage {

std::optional<std::string> BytesFromHex(std::string_view hex) {
  // The library takes any characters for digits.
  if (hex.size() % 2 != 0 || hex.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return std::nullopt;
  }
  return absl::HexStringToBytes(ToAbsl(hex));
}

bool IsDigest(std::string_view hex) { return hex.size() == 64 && BytesFromHex(hex); }

}  // namespace halcyon::storage
