// Weights in several files, in the layout that Hugging Face's tools read: files of whole tensors,
// and model.safetensors.index.json, which says which file has which tensor. Values and functions
// without state.
#ifndef HALCYON_STORAGE_WEIGHTS_WEIGHTS_INDEX_H_
#define HALCYON_STORAGE_WEIGHTS_WEIGHTS_INDEX_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "storage/weights/safetensors_writer.h"

namespace halcyon::storage {

inline constexpr char kWeightsFile[] = "model.safetensors";
inline constexpr char kWeightsIndexFile[] = "model.safetensors.index.json";

// A file ends before the tensor with which its tensors would have more bytes than this. 5 GB is
// where Hugging Face's tools cut by default, so folders look alike; a float32 network of up to 1.25
// billion parameters is one file.
inline constexpr uint64_t kShardBytesMax = 5'000'000'000;

// Which tensors lie in which file. A tensor is never cut.
struct WeightsLayout {
  struct File {
    std::string name;
    std::vector<TensorInfo> tensors;  // in the file's order
  };
  std::vector<File> files;    // one: model.safetensors, without an index
  uint64_t tensor_bytes = 0;  // of all tensors
};

// A function of the tensors' names, types and shapes alone, in whatever order they come. Tensors
// fill one file after the other in the order of SortAsInFile; a larger one than `shard_bytes_max`
// has a file of its own. REQUIRES: names differ.
WeightsLayout PlanWeights(std::vector<TensorInfo> tensors, uint64_t shard_bytes_max);

// The text of the index of a layout with several files.
std::string WeightsIndexText(const WeightsLayout& layout);

struct WeightsIndex {
  std::map<std::string, std::string> file_of;  // tensor -> name of a file in the index's folder
  std::optional<uint64_t> total_bytes;         // "total_size", where the index has it
};
// For safetensors and torch files (.bin). kDataLoss: no JSON of this form, a tensor listed twice.
// kInvalidArgument: a file that is not a plain name, so that it may lie outside the folder, or of
// neither kind.
absl::StatusOr<WeightsIndex> ParseWeightsIndex(std::string_view text);

// Whether a file of an artifact holds tensors.
inline bool HoldsWeights(std::string_view name) { return name.ends_with(".safetensors"); }
// The identity of weights, from name and SHA-256 of the files that hold the tensors: the SHA-256 of
// model.safetensors, or of the lines that `sha256sum` prints for several files in the order of
// their names.
std::string WeightsDigest(const std::map<std::string, std::string>& sha256_of);
// Of the weights in a folder, read anew. As Env's and ParseWeightsIndex's errors.
absl::StatusOr<std::string> DigestOfWeights(Env& env, const std::string& dir);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_WEIGHTS_WEIGHTS_INDEX_H_
