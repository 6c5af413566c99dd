// The fields of a protocol buffer message. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_SENTENCEPIECE_WIRE_READER_H_
#define HALCYON_PIPELINE_TOKENIZER_SENTENCEPIECE_WIRE_READER_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/status.h"

namespace halcyon::pipeline {

struct WireField {
  enum class Type { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
  uint32_t number = 0;
  Type type = Type::kVarint;
  uint64_t value = 0;      // of the types that are numbers
  std::string_view bytes;  // of kBytes

  float AsFloat() const {
    const auto bits = static_cast<uint32_t>(value);
    float number;
    std::memcpy(&number, &bits, sizeof number);
    return number;
  }
};

// Calls visit(field) -> absl::Status for each field. kInvalidArgument: not the encoding of a
// message, or groups, which no version of the file has.
template <typename Visit>
absl::Status ForEachField(std::string_view message, Visit visit) {
  size_t at = 0;
  const auto bad = [&] {
    return InvalidArgument("byte " + std::to_string(at) + " of a message is not well-formed");
  };
  const auto number = [&](uint64_t* value) {
    *value = 0;
    for (int shift = 0; at < message.size() && shift < 64; shift += 7) {
      const auto byte = static_cast<uint8_t>(message[at++]);
      *value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return true;
    }
    return false;
  };
  while (at < message.size()) {
    WireField field;
    uint64_t tag = 0, size = 0;
    if (!number(&tag) || tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF) return bad();
    field.number = static_cast<uint32_t>(tag >> 3);
    field.type = static_cast<WireField::Type>(tag & 7);
    switch (field.type) {
      case WireField::Type::kVarint:
        if (!number(&field.value)) return bad();
        break;
      case WireField::Type::kBytes:
        if (!number(&size) || size > message.size() - at) return bad();
        field.bytes = message.substr(at, size);
        at += size;
        break;
      case WireField::Type::kFixed32:
      case WireField::Type::kFixed64:
        size = field.type == WireField::Type::kFixed32 ? 4 : 8;
        if (size > message.size() - at) return bad();
        for (size_t i = 0; i < size; ++i) {
          field.value |= uint64_t{static_cast<uint8_t>(message[at + i])} << (8 * i);
        }
        at += size;
        break;
      default:
        return bad();
    }
    RETURN_IF_ERROR(visit(field));
  }
  return absl::OkStatus();
}

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_SENTENCEPIECE_WIRE_READER_H_
