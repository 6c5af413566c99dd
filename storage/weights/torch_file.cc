#include "storage/weights/torch_file.h"

#include <vector>

#include "base/check.h"
#include "base/file_kind.h"
#include "storage/strict_json.h"
#include "storage/weights/zip_directory.h"

namespace halcyon::storage {
namespace {

constexpr uint64_t kPickleBytesMax = 64 << 20;
constexpr char kPickleName[] = "/data.pkl";

// The folder that the archive's entries lie in, named after the file it was saved as.
absl::StatusOr<std::string> RootOf(const std::map<std::string, ZipEntry>& entries) {
  for (const auto& [name, entry] : entries) {
    if (name.ends_with(kPickleName) && name.find('/') == name.size() + 1 - sizeof(kPickleName)) {
      return name.substr(0, name.find('/'));
    }
  }
  return InvalidArgument("a zip archive, but not one of torch.save: it has no data.pkl");
}

bool IsRowMajor(const TorchTensor& tensor) {
  int64_t stride = 1;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != stride) return false;
    stride *= tensor.shape[i];
  }
  return true;
}

// `elements` (not 0) of `tensor`, from bytes that start with its first one.
std::string Gather(const TorchTensor& tensor, const std::string& bytes, uint64_t elements) {
  const uint64_t size = SizeOf(tensor.dtype);
  std::vector<int64_t> index(tensor.shape.size(), 0);
  std::string gathered;
  gathered.reserve(elements * size);
  uint64_t at = 0;
  for (uint64_t i = 0; i < elements; ++i) {
    gathered.append(bytes, at * size, size);
    for (size_t d = index.size(); d-- > 0;) {
      at += static_cast<uint64_t>(tensor.strides[d]);
      if (++index[d] < tensor.shape[d]) break;
      at -= static_cast<uint64_t>(tensor.strides[d] * tensor.shape[d]);
      index[d] = 0;
    }
  }
  return gathered;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TorchFile>> TorchFile::Open(Env& env, const std::string& path) {
  auto file = std::unique_ptr<TorchFile>(new TorchFile(env, path));
  if (const absl::Status loaded = file->Load(); !loaded.ok()) {
    return Annotate(
        ExplainByFileKind(loaded, env, path, "a checkpoint of torch.save", "a zip archive"), path);
  }
  return file;
}

absl::Status TorchFile::Load() {
  ASSIGN_OR_RETURN(const uint64_t size, env_.FileSize(path_));
  const ReadAt read = [&](uint64_t offset, uint64_t bytes) {
    return env_.ReadRange(path_, offset, bytes);
  };
  ASSIGN_OR_RETURN(const std::string start, read(0, std::min<uint64_t>(size, 2)));
  if (start.starts_with("\x80")) {
    return InvalidArgument(
        "is in the format of torch.save before torch 1.6; load it with Python "
        "and torch.save it again");
  }
  ASSIGN_OR_RETURN(const auto entries, ReadZipDirectory(read, size));
  ASSIGN_OR_RETURN(const std::string root, RootOf(entries));
  if (const auto order = entries.find(root + "/byteorder"); order != entries.end()) {
    ASSIGN_OR_RETURN(const std::string text,
                     read(order->second.offset, std::min<uint64_t>(order->second.bytes, 16)));
    if (text != "little") return InvalidArgument("its numbers are not little-endian");
  }
  const ZipEntry& pickle = entries.at(root + kPickleName);
  if (pickle.bytes > kPickleBytesMax) {
    return InvalidArgument("its data.pkl of " + std::to_string(pickle.bytes) +
                           " bytes is no state dict's");
  }
  ASSIGN_OR_RETURN(const std::string stream, read(pickle.offset, pickle.bytes));
  ASSIGN_OR_RETURN(tensors_, ParseTorchPickle(stream));
  for (const auto& [name, tensor] : tensors_) {
    const auto entry = entries.find(root + "/data/" + tensor.storage);
    if (entry == entries.end()) return DataLoss("the bytes of tensor \"" + name + "\" are missing");
    if (entry->second.bytes / SizeOf(tensor.dtype) < tensor.storage_elements) {
      return DataLoss("tensor \"" + name + "\" lies in a storage of " +
                      std::to_string(tensor.storage_elements) + " elements, of which only " +
                      std::to_string(entry->second.bytes) + " bytes are there");
    }
    storage_offsets_[tensor.storage] = entry->second.offset;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> TorchFile::Read(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return NotFound(path_ + ": no tensor \"" + name + "\"");
  const TorchTensor& tensor = found->second;
  ASSIGN_OR_RETURN(const uint64_t elements, ElementCount(tensor.shape));
  if (elements == 0) return std::string();
  uint64_t reach = 1;  // elements from the first to the last in the storage
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    reach += static_cast<uint64_t>((tensor.shape[i] - 1) * tensor.strides[i]);
  }
  const uint64_t size = SizeOf(tensor.dtype);
  ASSIGN_OR_RETURN(std::string bytes,
                   env_.ReadRange(path_, storage_offsets_.at(tensor.storage) + tensor.offset * size,
                                  reach * size));
  return IsRowMajor(tensor) ? bytes : Gather(tensor, bytes, elements);
}

}  // namespace halcyon::storage
