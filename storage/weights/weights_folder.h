// The weights in a folder as Hugging Face's tools leave them: model.safetensors or
// pytorch_model.bin, whole or in shards with an index.
#ifndef HALCYON_STORAGE_WEIGHTS_WEIGHTS_FOLDER_H_
#define HALCYON_STORAGE_WEIGHTS_WEIGHTS_FOLDER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "storage/weights/safetensors.h"
#include "storage/weights/torch_file.h"

namespace halcyon::storage {

// An open folder. Reads are independent of each other.
class WeightsFolder {
 public:
  struct Tensor {
    DType dtype = DType::kF32;
    std::vector<int64_t> shape;
    std::string file;  // its name in the folder
  };

  // Looks for, in this order, model.safetensors, model.safetensors.index.json, pytorch_model.bin,
  // pytorch_model.bin.index.json. kInvalidArgument when there is none, and when index and shards
  // differ: a shard is missing, a tensor is not in the file that the index names, not in the index
  // or in two files, or the index has another total size. What the files' readers return otherwise.
  static absl::StatusOr<std::unique_ptr<WeightsFolder>> Open(Env& env, const std::string& dir);

  const std::string& dir() const { return dir_; }
  const std::map<std::string, Tensor>& tensors() const { return tensors_; }
  // Row-major, converted exactly from F32, F16 or BF16, rounded from F64. kInvalidArgument names a
  // tensor of another type, kNotFound one that is not there.
  absl::StatusOr<std::vector<float>> ReadFloats(const std::string& name) const;
  // Row-major, in the tensor's own type. kNotFound names a tensor that is not there.
  absl::StatusOr<std::string> Read(const std::string& name) const;
  // The same into memory of the tensor's size; of a safetensors file without a second copy.
  absl::Status ReadInto(const std::string& name, std::span<char> out) const;
  // Of the tensor's file.
  std::string PathOf(const Tensor& tensor) const { return JoinPath(dir_, tensor.file); }
  // "__metadata__" of the safetensors files. kInvalidArgument when two of them differ in it.
  absl::StatusOr<std::map<std::string, std::string>> Metadata() const;

 private:
  WeightsFolder(Env& env, std::string dir) : env_(env), dir_(std::move(dir)) {}
  absl::Status AddFile(const std::string& name);
  absl::Status AddSafetensors(const std::string& name);
  absl::Status AddTorchFile(const std::string& name);
  absl::Status Add(const std::string& name, Tensor tensor);
  absl::Status AddIndex(const std::string& name);

  Env& env_;
  std::string dir_;
  std::map<std::string, Tensor> tensors_;
  std::map<std::string, std::unique_ptr<SafetensorsFile>> safetensors_;  // file -> open
  std::map<std::string, std::unique_ptr<TorchFile>> torch_files_;
  // Of the tensors, in bytes: those that share a storage of a torch file counted once, or each.
  uint64_t least_bytes_ = 0, most_bytes_ = 0;
};

// Why tensors are missing, when most of them are there under longer or shorter names: 'the names in
// the file begin with "module."', with what to do. "" when that explains nothing.
std::string ExplainMissing(const std::vector<std::string>& missing,
                           const std::map<std::string, WeightsFolder::Tensor>& tensors);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_WEIGHTS_WEIGHTS_FOLDER_H_
