#include "storage/weights/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"
#include "base/file_kind.h"
#include "storage/strict_json.h"
#include "storage/weights/safetensors_format.h"

namespace halcyon::storage {
namespace {

using nlohmann::json;

constexpr uint64_t kPieceBytes = 8 << 20;

struct DTypeInfo {
  std::string_view name;
  uint64_t size;
};
// In the order of DType.
constexpr std::array<DTypeInfo, 10> kDTypes = {{{"F64", 8},
                                                {"F32", 4},
                                                {"F16", 2},
                                                {"BF16", 2},
                                                {"I64", 8},
                                                {"I32", 4},
                                                {"I16", 2},
                                                {"I8", 1},
                                                {"U8", 1},
                                                {"BOOL", 1}}};

absl::StatusOr<DType> DTypeFromName(const std::string& name) {
  for (size_t i = 0; i < kDTypes.size(); ++i) {
    if (kDTypes[i].name == name) return static_cast<DType>(i);
  }
  return DataLoss("unknown dtype \"" + name + "\"");
}

// The header's length, or why it cannot be.
absl::StatusOr<uint64_t> HeaderLength(std::string_view start, uint64_t file_size) {
  if (file_size < kLengthBytes || start.size() < kLengthBytes) {
    return DataLoss("too short for a safetensors file: " + std::to_string(file_size) + " bytes");
  }
  uint64_t length = 0;
  std::memcpy(&length, start.data(), kLengthBytes);
  if (length > kHeaderBytesMax) {
    return DataLoss("the header claims " + std::to_string(length) + " bytes, the limit is " +
                    std::to_string(kHeaderBytesMax));
  }
  if (length > file_size - kLengthBytes) {
    return DataLoss("the header claims " + std::to_string(length) + " bytes, the file has " +
                    std::to_string(file_size));
  }
  return length;
}

absl::StatusOr<TensorEntry> ParseEntry(const json& object, uint64_t data_start,
                                       uint64_t file_size) {
  TensorEntry entry;
  ASSIGN_OR_RETURN(const std::string dtype, StringMember(object, "dtype"));
  ASSIGN_OR_RETURN(entry.dtype, DTypeFromName(dtype));
  ASSIGN_OR_RETURN(entry.shape, ShapeMember(object, "shape"));
  ASSIGN_OR_RETURN(const json* offsets, ArrayMember(object, "data_offsets"));
  if (offsets->size() != 2 || !(*offsets)[0].is_number_unsigned() ||
      !(*offsets)[1].is_number_unsigned()) {
    return DataLoss("member \"data_offsets\": expected two integers that are not negative");
  }
  const uint64_t begin = (*offsets)[0].get<uint64_t>();
  const uint64_t end = (*offsets)[1].get<uint64_t>();
  if (begin > end || end > file_size - data_start) {
    return DataLoss("data_offsets [" + std::to_string(begin) + ", " + std::to_string(end) +
                    "] do not lie within the " + std::to_string(file_size - data_start) +
                    " bytes of data");
  }
  ASSIGN_OR_RETURN(uint64_t bytes, ElementCount(entry.shape));
  if (__builtin_mul_overflow(bytes, SizeOf(entry.dtype), &bytes)) {
    return DataLoss("the shape's number of bytes overflows");
  }
  if (bytes != end - begin) {
    return DataLoss("the shape needs " + std::to_string(bytes) + " bytes, data_offsets give " +
                    std::to_string(end - begin));
  }
  entry.offset = data_start + begin;
  entry.bytes = bytes;
  return entry;
}

// Tensors must cover the data from its start to the file's end, each byte once.
absl::Status CheckCoverage(const SafetensorsHeader& header, uint64_t data_start,
                           uint64_t file_size) {
  std::vector<std::pair<const TensorEntry*, const std::string*>> order;
  for (const auto& [name, entry] : header.tensors) order.emplace_back(&entry, &name);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first->offset, a.first->bytes) < std::pair(b.first->offset, b.first->bytes);
  });
  uint64_t expected = data_start;
  for (const auto& [entry, name] : order) {
    if (entry->offset != expected) {
      return DataLoss("tensor \"" + *name + "\" starts at byte " + std::to_string(entry->offset) +
                      (entry->offset > expected ? ", leaving a hole from byte "
                                                : ", overlapping the tensor that ends at byte ") +
                      std::to_string(expected));
    }
    expected += entry->bytes;
  }
  if (expected != file_size) {
    return DataLoss("the tensors end at byte " + std::to_string(expected) + ", the file has " +
                    std::to_string(file_size));
  }
  return absl::OkStatus();
}

}  // namespace

uint64_t SizeOf(DType dtype) { return kDTypes.at(static_cast<size_t>(dtype)).size; }
std::string_view NameOf(DType dtype) { return kDTypes.at(static_cast<size_t>(dtype)).name; }

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view start,
                                                         uint64_t file_size) {
  ASSIGN_OR_RETURN(const uint64_t length, HeaderLength(start, file_size));
  if (start.size() - kLengthBytes < length) {
    return DataLoss("the bytes given end within the header of " + std::to_string(length));
  }
  const std::string_view text = start.substr(kLengthBytes, length);
  if (text.empty() || text.front() != '{') return DataLoss("the header does not start with '{'");
  ASSIGN_OR_RETURN(const json root, ParseStrictJson(text), "header");
  const uint64_t data_start = kLengthBytes + length;
  SafetensorsHeader header;
  for (const auto& [name, value] : root.items()) {
    if (name == kMetadata) {
      ASSIGN_OR_RETURN(header.metadata, StringMapMember(root, kMetadata), "header");
      continue;
    }
    ASSIGN_OR_RETURN(TensorEntry entry, ParseEntry(value, data_start, file_size),
                     "tensor \"" + name + "\"");
    header.tensors.emplace(name, std::move(entry));
  }
  RETURN_IF_ERROR(CheckCoverage(header, data_start, file_size));
  header.file_bytes = file_size;
  return header;
}

SafetensorsFile::SafetensorsFile(Env& env, std::string path, SafetensorsHeader header)
    : env_(env), path_(std::move(path)), header_(std::move(header)) {}

absl::StatusOr<std::unique_ptr<SafetensorsFile>> SafetensorsFile::Open(Env& env,
                                                                       const std::string& path) {
  ASSIGN_OR_RETURN(const uint64_t size, env.FileSize(path));
  const auto explained = [&](const absl::Status& error) {
    return Annotate(ExplainByFileKind(error, env, path, "weights in the safetensors format",
                                      "a safetensors file"),
                    path);
  };
  ASSIGN_OR_RETURN(std::string start, env.ReadRange(path, 0, std::min(size, kLengthBytes)));
  const auto length = HeaderLength(start, size);
  if (!length.ok()) return explained(length.status());
  ASSIGN_OR_RETURN(start, env.ReadRange(path, 0, kLengthBytes + *length));
  auto header = ParseSafetensorsHeader(start, size);
  if (!header.ok()) return explained(header.status());
  return std::unique_ptr<SafetensorsFile>(new SafetensorsFile(env, path, *std::move(header)));
}

absl::StatusOr<TensorEntry> SafetensorsFile::Find(const std::string& name) const {
  const auto it = header_.tensors.find(name);
  if (it == header_.tensors.end()) return NotFound(path_ + ": no tensor \"" + name + "\"");
  return it->second;
}

absl::StatusOr<std::string> SafetensorsFile::Read(const std::string& name) const {
  ASSIGN_OR_RETURN(const TensorEntry entry, Find(name));
  return env_.ReadRange(path_, entry.offset, entry.bytes);
}

absl::Status SafetensorsFile::ReadInto(const std::string& name, std::span<char> out) const {
  ASSIGN_OR_RETURN(const TensorEntry entry, Find(name));
  HALCYON_CHECK(out.size() == entry.bytes);
  for (uint64_t offset = 0; offset < entry.bytes; offset += kPieceBytes) {
    ASSIGN_OR_RETURN(
        const std::string piece,
        env_.ReadRange(path_, entry.offset + offset, std::min(kPieceBytes, entry.bytes - offset)));
    std::memcpy(out.data() + offset, piece.data(), piece.size());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> SafetensorsFile::ReadPart(const std::string& name, uint64_t offset,
                                                      uint64_t bytes) const {
  ASSIGN_OR_RETURN(const TensorEntry entry, Find(name));
  if (offset > entry.bytes || bytes > entry.bytes - offset) {
    return InvalidArgument(path_ + ": bytes " + std::to_string(offset) + " to " +
                           std::to_string(offset) + " + " + std::to_string(bytes) +
                           " lie outside tensor \"" + name + "\" of " +
                           std::to_string(entry.bytes) + " bytes");
  }
  return env_.ReadRange(path_, entry.offset + offset, bytes);
}

}  // namespace halcyon::storage
