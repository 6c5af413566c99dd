// Writes files as torch.save does: a stored zip archive of a pickle stream and the storages' bytes.
// Options bend what is said, to see that a reader notices.
#ifndef HALCYON_TESTS_TESTING_TORCH_WRITER_H_
#define HALCYON_TESTS_TESTING_TORCH_WRITER_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace halcyon::testing {

template <typename Number>
std::string LittleEndian(Number number) {
  std::string bytes(sizeof(number), '\0');
  std::memcpy(bytes.data(), &number, sizeof(number));
  return bytes;
}

// --- the zip archive ---

using ZipEntries = std::vector<std::pair<std::string, std::string>>;  // name, bytes

inline std::string WriteZip(const ZipEntries& entries, uint16_t method = 0) {
  std::string file, directory;
  for (const auto& [name, bytes] : entries) {
    const std::string shared = LittleEndian<uint16_t>(0) + LittleEndian(method) +
                               std::string(8, '\0') + LittleEndian<uint32_t>(bytes.size()) +
                               LittleEndian<uint32_t>(bytes.size()) +
                               LittleEndian<uint16_t>(name.size()) + LittleEndian<uint16_t>(0);
    directory += "PK\1\2" + LittleEndian<uint16_t>(0) + LittleEndian<uint16_t>(0) + shared +
                 std::string(10, '\0') + LittleEndian<uint32_t>(file.size()) + name;
    file += "PK\3\4" + LittleEndian<uint16_t>(0) + shared + name + bytes;
  }
  const uint32_t offset = static_cast<uint32_t>(file.size());
  const auto count = LittleEndian<uint16_t>(entries.size());
  return file + directory + "PK\5\6" + std::string(4, '\0') + count + count +
         LittleEndian<uint32_t>(directory.size()) + LittleEndian(offset) +
         LittleEndian<uint16_t>(0);
}

// --- the pickle stream ---

inline std::string PickleText(std::string_view text) {
  return "X" + LittleEndian<uint32_t>(text.size()) + std::string(text);
}
inline std::string PickleInteger(int64_t number) { return "\x8a\x08" + LittleEndian(number); }
inline std::string PickleTuple(const std::vector<int64_t>& numbers) {
  std::string stream = "(";
  for (const int64_t number : numbers) stream += PickleInteger(number);
  return stream + "t";
}

struct SavedTensor {
  std::string name{};
  std::string type = "FloatStorage";
  std::vector<int64_t> shape{};
  std::string bytes{};             // of the storage; empty with an alias
  std::vector<int64_t> strides{};  // empty: row-major
  int64_t offset = 0;
  std::string storage{};          // empty: one of its own
  int64_t storage_elements = -1;  // -1: the elements of the shape
};

inline std::string PickleTensor(const SavedTensor& tensor) {
  uint64_t elements = 1;  // may wrap, in a test of that
  std::vector<int64_t> strides(tensor.shape.size());
  for (size_t i = tensor.shape.size(); i-- > 0; elements *= tensor.shape[i]) strides[i] = elements;
  if (!tensor.strides.empty()) strides = tensor.strides;
  if (tensor.storage_elements >= 0) elements = tensor.storage_elements;
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + PickleText("storage") + "ctorch\n" +
         tensor.type + "\n" + PickleText(tensor.storage.empty() ? tensor.name : tensor.storage) +
         PickleText("cpu") + PickleInteger(elements) + "tQ" + PickleInteger(tensor.offset) +
         PickleTuple(tensor.shape) + PickleTuple(strides) + "\x89" +
         "ccollections\nOrderedDict\n)RtR";
}

inline std::string PickleStateDict(const std::vector<SavedTensor>& tensors) {
  std::string stream =
      "\x80\x02"
      "ccollections\nOrderedDict\n)R(";
  for (const SavedTensor& tensor : tensors)
    stream += PickleText(tensor.name) + PickleTensor(tensor);
  return stream + "u}" + PickleText("_metadata") + "ccollections\nOrderedDict\n)Rsb.";
}

inline std::string WriteTorchFile(const std::vector<SavedTensor>& tensors) {
  ZipEntries entries = {{"m/data.pkl", PickleStateDict(tensors)}, {"m/byteorder", "little"}};
  for (const SavedTensor& tensor : tensors) {
    if (tensor.storage.empty()) entries.emplace_back("m/data/" + tensor.name, tensor.bytes);
  }
  return WriteZip(entries);
}

}  // namespace halcyon::testing

#endif  // HALCYON_TESTS_TESTING_TORCH_WRITER_H_
