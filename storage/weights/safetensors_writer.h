// Writes a safetensors file one tensor after the other, so that the whole of it is never in memory.
#ifndef HALCYON_STORAGE_WEIGHTS_SAFETENSORS_WRITER_H_
#define HALCYON_STORAGE_WEIGHTS_SAFETENSORS_WRITER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/env.h"
#include "base/status.h"
#include "storage/weights/safetensors.h"

namespace halcyon::storage {

// A tensor without its bytes.
struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
};

// REQUIRES: the shape's extents are not negative and their product does not overflow.
uint64_t BytesOf(const TensorInfo& tensor);

// The order of tensors in every file that Halcyon writes: larger elements first, so that each
// tensor is aligned to its element without holes; then by name, so that equal contents make equal
// files.
void SortAsInFile(std::vector<TensorInfo>& tensors);

// Not thread-safe. Unless Finish has returned OK the destructor removes the file: a part of it is
// useless, and on a full disk its space is needed.
class SafetensorsWriter {
 public:
  struct Finished {
    uint64_t bytes = 0;
    std::string sha256;  // counted from the bytes as they were handed to the file system
  };

  // REQUIRES: `tensors` are in the order of SortAsInFile, their names differ.
  static absl::StatusOr<std::unique_ptr<SafetensorsWriter>> Create(
      Env& env, const std::string& path, const std::vector<TensorInfo>& tensors,
      const std::map<std::string, std::string>& metadata);
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  // The next tensor. REQUIRES: `bytes` are as many as its shape needs.
  absl::Status Append(std::string_view bytes);
  // Syncs and closes the file (not its folder). REQUIRES: every tensor was appended.
  absl::StatusOr<Finished> Finish();

 private:
  SafetensorsWriter(Env& env, std::string path, const std::vector<TensorInfo>& tensors);
  absl::Status Write(std::string_view bytes);

  Env& env_;
  const std::string path_;
  std::vector<uint64_t> sizes_;  // of the tensors, in the file's order
  size_t next_ = 0;
  std::unique_ptr<WritableFile> file_;
  Finished finished_;
  Sha256 digest_;
  bool is_finished_ = false;
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_WEIGHTS_SAFETENSORS_WRITER_H_
