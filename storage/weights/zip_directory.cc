#include "storage/weights/zip_directory.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <string_view>

namespace halcyon::storage {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are read as they lie");

constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocator64Signature = 0x07064b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint64_t kEndBytes = 22, kEnd64Bytes = 56, kLocator64Bytes = 20;
constexpr uint64_t kCentralBytes = 46, kLocalBytes = 30;
constexpr uint64_t kCommentBytesMax = 0xffff;
constexpr uint64_t kDirectoryBytesMax = 64 << 20;
constexpr uint32_t kIn64 = 0xffffffff;  // the number stands in the 64-bit extension
constexpr uint16_t kExtra64 = 1;

// REQUIRES: the bytes are there.
template <typename Number>
Number NumberAt(std::string_view bytes, uint64_t offset) {
  Number number;
  std::memcpy(&number, bytes.data() + offset, sizeof(number));
  return number;
}

bool Within(uint64_t offset, uint64_t bytes, uint64_t end) {
  return offset <= end && bytes <= end - offset;
}

struct Directory {
  uint64_t offset = 0, bytes = 0, entries = 0;
};

// The end record in the last bytes of the file: where it starts in `tail`.
std::optional<uint64_t> FindEnd(std::string_view tail) {
  if (tail.size() < kEndBytes) return std::nullopt;
  for (uint64_t at = tail.size() - kEndBytes + 1; at-- > 0;) {
    if (NumberAt<uint32_t>(tail, at) == kEndSignature &&
        at + kEndBytes + NumberAt<uint16_t>(tail, at + 20) == tail.size()) {
      return at;
    }
  }
  return std::nullopt;
}

absl::StatusOr<Directory> FindDirectory(const ReadAt& read, uint64_t file_bytes) {
  const uint64_t tail_bytes = std::min(file_bytes, kEndBytes + kCommentBytesMax + kLocator64Bytes);
  ASSIGN_OR_RETURN(const std::string tail, read(file_bytes - tail_bytes, tail_bytes));
  const auto end = FindEnd(tail);
  if (!end) return DataLoss("not a zip archive, or one that is cut off: no directory at its end");
  Directory directory;
  directory.entries = NumberAt<uint16_t>(tail, *end + 10);
  directory.bytes = NumberAt<uint32_t>(tail, *end + 12);
  directory.offset = NumberAt<uint32_t>(tail, *end + 16);
  if (*end < kLocator64Bytes ||
      NumberAt<uint32_t>(tail, *end - kLocator64Bytes) != kLocator64Signature) {
    return directory;
  }
  const uint64_t offset = NumberAt<uint64_t>(tail, *end - kLocator64Bytes + 8);
  if (!Within(offset, kEnd64Bytes, file_bytes)) {
    return DataLoss("the zip archive's 64-bit end record lies outside the file");
  }
  ASSIGN_OR_RETURN(const std::string record, read(offset, kEnd64Bytes));
  if (NumberAt<uint32_t>(record, 0) != kEnd64Signature) {
    return DataLoss("the zip archive's 64-bit end record is damaged");
  }
  directory.entries = NumberAt<uint64_t>(record, 32);
  directory.bytes = NumberAt<uint64_t>(record, 40);
  directory.offset = NumberAt<uint64_t>(record, 48);
  return directory;
}

// One entry of the directory.
struct Central {
  std::string name;
  uint16_t flags = 0, method = 0;
  uint64_t packed_bytes = 0, bytes = 0, local_offset = 0;
};

// Replaces the numbers that did not fit into 32 bits; they follow each other in the extension.
absl::Status Take64(std::string_view extra, Central* entry) {
  const bool wanted =
      entry->bytes == kIn64 || entry->packed_bytes == kIn64 || entry->local_offset == kIn64;
  while (wanted && extra.size() >= 4) {
    const auto id = NumberAt<uint16_t>(extra, 0);
    const auto size = NumberAt<uint16_t>(extra, 2);
    extra.remove_prefix(4);
    if (size > extra.size()) break;
    std::string_view field = extra.substr(0, size);
    extra.remove_prefix(size);
    if (id != kExtra64) continue;
    for (uint64_t* number : {&entry->bytes, &entry->packed_bytes, &entry->local_offset}) {
      if (*number != kIn64) continue;
      if (field.size() < 8) return DataLoss("a 64-bit number is missing");
      *number = NumberAt<uint64_t>(field, 0);
      field.remove_prefix(8);
    }
    return absl::OkStatus();
  }
  return wanted ? DataLoss("a 64-bit number is missing") : absl::OkStatus();
}

// Takes the first entry off `directory`.
absl::StatusOr<Central> TakeCentral(std::string_view* directory) {
  if (directory->size() < kCentralBytes || NumberAt<uint32_t>(*directory, 0) != kCentralSignature) {
    return DataLoss("the zip archive's directory is damaged");
  }
  Central entry;
  entry.flags = NumberAt<uint16_t>(*directory, 8);
  entry.method = NumberAt<uint16_t>(*directory, 10);
  entry.packed_bytes = NumberAt<uint32_t>(*directory, 20);
  entry.bytes = NumberAt<uint32_t>(*directory, 24);
  const uint64_t name_bytes = NumberAt<uint16_t>(*directory, 28);
  const uint64_t extra_bytes = NumberAt<uint16_t>(*directory, 30);
  const uint64_t comment_bytes = NumberAt<uint16_t>(*directory, 32);
  entry.local_offset = NumberAt<uint32_t>(*directory, 42);
  directory->remove_prefix(kCentralBytes);
  if (name_bytes + extra_bytes + comment_bytes > directory->size()) {
    return DataLoss("the zip archive's directory is damaged");
  }
  entry.name = directory->substr(0, name_bytes);
  RETURN_IF_ERROR(Take64(directory->substr(name_bytes, extra_bytes), &entry),
                  "zip entry \"" + entry.name + "\"");
  directory->remove_prefix(name_bytes + extra_bytes + comment_bytes);
  return entry;
}

absl::StatusOr<ZipEntry> Locate(const Central& entry, const ReadAt& read, uint64_t file_bytes) {
  if (entry.method != 0) return DataLoss("is compressed; save it again with torch.save");
  if ((entry.flags & 1) != 0) return DataLoss("is encrypted");
  if (entry.packed_bytes != entry.bytes) return DataLoss("has two sizes");
  if (!Within(entry.local_offset, kLocalBytes, file_bytes)) {
    return DataLoss("starts outside the file");
  }
  ASSIGN_OR_RETURN(const std::string local, read(entry.local_offset, kLocalBytes));
  if (NumberAt<uint32_t>(local, 0) != kLocalSignature) return DataLoss("has a damaged header");
  ZipEntry located;
  located.offset = entry.local_offset + kLocalBytes + NumberAt<uint16_t>(local, 26) +
                   NumberAt<uint16_t>(local, 28);
  located.bytes = entry.bytes;
  if (!Within(located.offset, located.bytes, file_bytes)) return DataLoss("ends outside the file");
  return located;
}

}  // namespace

absl::StatusOr<std::map<std::string, ZipEntry>> ReadZipDirectory(const ReadAt& read,
                                                                 uint64_t file_bytes) {
  ASSIGN_OR_RETURN(const Directory directory, FindDirectory(read, file_bytes));
  if (directory.bytes > kDirectoryBytesMax ||
      !Within(directory.offset, directory.bytes, file_bytes)) {
    return DataLoss("the zip archive's directory of " + std::to_string(directory.bytes) +
                    " bytes at byte " + std::to_string(directory.offset) +
                    " is too large or lies outside the file");
  }
  ASSIGN_OR_RETURN(const std::string bytes, read(directory.offset, directory.bytes));
  std::string_view rest = bytes;
  std::map<std::string, ZipEntry> entries;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    ASSIGN_OR_RETURN(const Central central, TakeCentral(&rest));
    if (central.name.ends_with('/')) continue;
    const std::string context = "zip entry \"" + central.name + "\"";
    ASSIGN_OR_RETURN(const ZipEntry entry, Locate(central, read, file_bytes), context);
    if (!entries.emplace(central.name, entry).second) return DataLoss(context + " is there twice");
  }
  if (!rest.empty()) return DataLoss("the zip archive's directory has bytes after its end");
  return entries;
}

}  // namespace halcyon::storage
