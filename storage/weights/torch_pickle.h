// Reads what Python's torch.save wrote for a state dict: the pickle stream of a zip-format
// checkpoint (the entry data.pkl), into names, types, shapes and places of tensors.
//
// A reader of our own, because LibTorch's unpickler takes every collections.OrderedDict, which a
// state dict is, for the place of backward hooks and puts None there. It is a machine with the few
// opcodes and the few names that a state dict needs, over bytes alone: nothing is imported, called
// or executed, and any other opcode or name is refused by its name.
//
// Non-goals: writing; optimizer states and other nested contents; sparse and quantised tensors.
#ifndef HALCYON_STORAGE_WEIGHTS_TORCH_PICKLE_H_
#define HALCYON_STORAGE_WEIGHTS_TORCH_PICKLE_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "storage/weights/safetensors.h"

namespace halcyon::storage {

// A tensor as a view of a stored run of elements. Several tensors may share one.
struct TorchTensor {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape, strides;  // strides in elements, not negative
  std::string storage;                  // names the archive's entry data/STORAGE
  uint64_t storage_elements = 0;        // that the storage is said to have
  uint64_t offset = 0;                  // of the first element, in elements
};

// The tensors of a dict from names to tensors, plain or ordered; its `_metadata` is left out.
// kDataLoss for damaged bytes; kInvalidArgument for a healthy stream that holds something else,
// naming it. A tensor lies within its storage and has no more elements than it.
absl::StatusOr<std::map<std::string, TorchTensor>> ParseTorchPickle(std::string_view stream);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_WEIGHTS_TORCH_PICKLE_H_
