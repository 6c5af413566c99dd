// NumPy files of version 1.0, little-endian.
#ifndef HALCYON_PIPELINE_NPY_H_
#define HALCYON_PIPELINE_NPY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/output_file.h"
#include "base/status.h"

namespace halcyon::pipeline {

// Writes an array of any type piece by piece. Not thread-safe.
class NpyWriter {
 public:
  // `type`: as NumPy spells it, "<u4". At least one dimension.
  static absl::StatusOr<std::unique_ptr<NpyWriter>> Create(const std::string& path,
                                                           const std::string& type,
                                                           std::span<const uint64_t> shape);
  // The next elements' bytes, the last dimension the fastest.
  absl::Status Append(std::string_view bytes);
  // kInternal unless the bytes are those of the shape. After OK the file has its name.
  absl::Status Close();

 private:
  NpyWriter(std::unique_ptr<OutputFile> file, uint64_t bytes)
      : file_(std::move(file)), missing_bytes_(bytes) {}

  std::unique_ptr<OutputFile> file_;
  uint64_t missing_bytes_;
};

// What the header of an array says.
struct NpyHeader {
  std::string type;               // as it is spelled: "'<u4'"
  std::string shape;              // likewise: "(12,)"
  std::optional<uint64_t> count;  // of the values, in one dimension
  uint64_t begin = 0;             // of the values, in bytes
};
bool IsNpy(std::string_view start);  // also of another version
// `start`: a file's bytes up to the end of its header at least. kInvalidArgument, without a name:
// no array, one of another version, or a damaged header.
absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view start);

// Ids: one dimension of uint32.
absl::Status WriteNpy(const std::string& path, std::span<const uint32_t> values);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_NPY_H_
