// How one id is stored: a little-endian integer.
#ifndef HALCYON_PIPELINE_TOKEN_FILES_ID_TYPE_H_
#define HALCYON_PIPELINE_TOKEN_FILES_ID_TYPE_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/check.h"

namespace halcyon::pipeline {

static_assert(std::endian::native == std::endian::little);

struct IdType {
  uint32_t bytes = 0;  // 1, 2, 4 or 8
  bool is_signed = false;
  bool operator==(const IdType&) const = default;

  std::string Name() const {  // "uint16"
    return (is_signed ? "int" : "uint") + std::to_string(8 * bytes);
  }
};

// Calls `use` with a value of the integer type.
template <typename Use>
auto WithIdType(IdType type, Use use) {
  switch (type.bytes) {
    case 1:
      return type.is_signed ? use(int8_t{}) : use(uint8_t{});
    case 2:
      return type.is_signed ? use(int16_t{}) : use(uint16_t{});
    case 4:
      return type.is_signed ? use(int32_t{}) : use(uint32_t{});
    default:
      HALCYON_CHECK(type.bytes == 8);
      return type.is_signed ? use(int64_t{}) : use(uint64_t{});
  }
}

// Number `i` of such integers. REQUIRES: it is within the bytes.
template <typename Integer>
Integer IntegerAt(std::string_view bytes, uint64_t i) {
  Integer value;
  std::memcpy(&value, bytes.data() + i * sizeof(Integer), sizeof(Integer));
  return value;
}

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKEN_FILES_ID_TYPE_H_
