// A checkpoint file of torch.save in its zip format: pytorch_model.bin. Nothing in it is executed
// (storage/weights/torch_pickle.h).
#ifndef HALCYON_STORAGE_WEIGHTS_TORCH_FILE_H_
#define HALCYON_STORAGE_WEIGHTS_TORCH_FILE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/env.h"
#include "base/status.h"
#include "storage/weights/torch_pickle.h"

namespace halcyon::storage {

// An open file. Reads are independent of each other.
class TorchFile {
 public:
  // kInvalidArgument for the format before zip (torch.save of torch < 1.6), a big-endian file or
  // contents that are no state dict; kDataLoss for damage, a tensor outside its bytes included.
  static absl::StatusOr<std::unique_ptr<TorchFile>> Open(Env& env, const std::string& path);

  const std::map<std::string, TorchTensor>& tensors() const { return tensors_; }
  // The elements in row-major order, whatever the strides, in the tensor's own type.
  // kNotFound names the tensor and the file.
  absl::StatusOr<std::string> Read(const std::string& name) const;

 private:
  TorchFile(Env& env, std::string path) : env_(env), path_(std::move(path)) {}
  absl::Status Load();

  Env& env_;
  std::string path_;
  std::map<std::string, TorchTensor> tensors_;
  std::map<std::string, uint64_t> storage_offsets_;  // storage -> its first byte in the file
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_WEIGHTS_TORCH_FILE_H_
