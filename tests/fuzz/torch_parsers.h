// What the readers of torch.save's files guarantee for all bytes
// (tests/fuzz/storage_parsers.h has those of Halcyon's own files).
#ifndef HALCYON_TESTS_FUZZ_TORCH_PARSERS_H_
#define HALCYON_TESTS_FUZZ_TORCH_PARSERS_H_

#include <string>
#include <string_view>

#include "base/check.h"
#include "storage/weights/torch_pickle.h"
#include "storage/weights/zip_directory.h"

namespace halcyon::storage {

// True when accepted.
inline bool CheckTorchPickleParser(std::string_view stream) {
  const auto tensors = ParseTorchPickle(stream);
  if (!tensors.ok()) {
    HALCYON_CHECK(tensors.status().code() == absl::StatusCode::kDataLoss ||
                  tensors.status().code() == absl::StatusCode::kInvalidArgument);
    return false;
  }
  for (const auto& [name, tensor] : *tensors) {
    HALCYON_CHECK(tensor.shape.size() == tensor.strides.size());
    unsigned __int128 elements = 1, last = tensor.offset;
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      HALCYON_CHECK(tensor.shape[i] >= 0);
      elements *= static_cast<uint64_t>(tensor.shape[i]);
      if (elements == 0) break;
      HALCYON_CHECK(elements <= tensor.storage_elements && tensor.strides[i] >= 0);
      last += static_cast<unsigned __int128>(tensor.shape[i] - 1) *
              static_cast<uint64_t>(tensor.strides[i]);
    }
    HALCYON_CHECK(elements == 0 || last < tensor.storage_elements);
  }
  return true;
}

// True when accepted; nothing is asked for that the file does not have.
inline bool CheckZipParser(std::string_view file) {
  const ReadAt read = [&](uint64_t offset, uint64_t size) -> absl::StatusOr<std::string> {
    HALCYON_CHECK(offset <= file.size() && size <= file.size() - offset);
    return std::string(file.substr(offset, size));
  };
  const auto entries = ReadZipDirectory(read, file.size());
  if (!entries.ok()) {
    HALCYON_CHECK(entries.status().code() == absl::StatusCode::kDataLoss);
    return false;
  }
  for (const auto& [name, entry] : *entries) {
    HALCYON_CHECK(entry.offset <= file.size() && entry.bytes <= file.size() - entry.offset);
  }
  return true;
}

}  // namespace halcyon::storage

#endif  // HALCYON_TESTS_FUZZ_TORCH_PARSERS_H_
