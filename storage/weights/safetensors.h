// The safetensors file format: u64 little-endian header length, JSON header, raw little-endian
// data. Other implementations can read the files written here, and this one reads theirs.
#ifndef HALCYON_STORAGE_WEIGHTS_SAFETENSORS_H_
#define HALCYON_STORAGE_WEIGHTS_SAFETENSORS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"

namespace halcyon::storage {

enum class DType { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool };
uint64_t SizeOf(DType dtype);
std::string_view NameOf(DType dtype);  // "F32"

// A tensor to write: bytes are borrowed, row-major, little-endian.
struct TensorView {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::string_view bytes;
};

// Where a tensor lies in a file.
struct TensorEntry {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  uint64_t offset = 0;  // from the file's start
  uint64_t bytes = 0;
};

struct SafetensorsHeader {
  std::map<std::string, TensorEntry> tensors;
  std::map<std::string, std::string> metadata;  // "__metadata__"
  uint64_t file_bytes = 0;                      // that the header implies
};

// Parses the first bytes of a file of `file_size` bytes. Refuses (kDataLoss, saying what): a header
// over 100 MB or past the end, bad JSON, duplicate names, unknown dtypes, negative or overflowing
// shapes, offsets that leave holes, overlap or do not match the shape, trailing bytes.
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view start,
                                                         uint64_t file_size);

// What was written: its size and the XXH3 of all its bytes, for a manifest.
struct WrittenFile {
  uint64_t bytes = 0;
  uint64_t xxh3 = 0;
};

// Appends a whole safetensors file to `file`, without syncing it; `path` is for messages.
// REQUIRES: names differ, bytes match shapes.
absl::StatusOr<WrittenFile> AppendSafetensors(WritableFile& file, const std::string& path,
                                              const std::vector<TensorView>& tensors,
                                              const std::map<std::string, std::string>& metadata);

// Writes and syncs `path` (not its folder). REQUIRES: as above.
absl::StatusOr<WrittenFile> WriteSafetensors(Env& env, const std::string& path,
                                             const std::vector<TensorView>& tensors,
                                             const std::map<std::string, std::string>& metadata);

// An open file. Reads are independent of each other.
class SafetensorsFile {
 public:
  static absl::StatusOr<std::unique_ptr<SafetensorsFile>> Open(Env& env, const std::string& path);
  const SafetensorsHeader& header() const { return header_; }
  const std::string& path() const { return path_; }
  // kNotFound names the tensor and the file.
  absl::StatusOr<TensorEntry> Find(const std::string& name) const;
  absl::StatusOr<std::string> Read(const std::string& name) const;
  // The same into memory of the tensor's size, piece by piece: needs no second copy of it.
  absl::Status ReadInto(const std::string& name, std::span<char> out) const;
  // `bytes` bytes from `offset` within the tensor.
  absl::StatusOr<std::string> ReadPart(const std::string& name, uint64_t offset,
                                       uint64_t bytes) const;

 private:
  SafetensorsFile(Env& env, std::string path, SafetensorsHeader header);
  Env& env_;
  std::string path_;
  SafetensorsHeader header_;
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_WEIGHTS_SAFETENSORS_H_
