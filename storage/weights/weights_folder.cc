#include "storage/weights/weights_folder.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "base/check.h"
#include "storage/half.h"
#include "storage/strict_json.h"
#include "storage/weights/weights_index.h"

namespace halcyon::storage {
namespace {

constexpr const char* kNames[] = {kWeightsFile, kWeightsIndexFile, "pytorch_model.bin",
                                  "pytorch_model.bin.index.json"};

std::vector<float> FloatsOf(DType dtype, const std::string& bytes) {
  std::vector<float> floats(bytes.size() / SizeOf(dtype));
  if (dtype == DType::kF32) {
    if (!floats.empty()) std::memcpy(floats.data(), bytes.data(), bytes.size());
  } else if (dtype == DType::kF16) {
    DecodeHalves(bytes.data(), floats);
  } else if (dtype == DType::kBF16) {
    DecodeBFloat16s(bytes.data(), floats);
  } else {
    for (size_t i = 0; i < floats.size(); ++i) {
      double value;
      std::memcpy(&value, bytes.data() + 8 * i, sizeof(value));
      floats[i] = static_cast<float>(value);
    }
  }
  return floats;
}

}  // namespace

std::string ExplainMissing(const std::vector<std::string>& missing,
                           const std::map<std::string, WeightsFolder::Tensor>& tensors) {
  if (missing.empty()) return "";
  const auto explains_most = [&](const auto& name_there) {
    const auto count = std::count_if(missing.begin(), missing.end(), [&](const std::string& name) {
      return tensors.contains(name_there(name));
    });
    return 2 * static_cast<size_t>(count) > missing.size();
  };
  // Every name in the file that ends with the first missing one suggests a prefix.
  const std::string& first = missing[0];
  for (const auto& [name, tensor] : tensors) {
    if (!name.ends_with("." + first)) continue;
    const std::string prefix = name.substr(0, name.size() - first.size());
    if (!explains_most([&](const std::string& wanted) { return prefix + wanted; })) continue;
    return "the names in the file begin with \"" + prefix +
           "\", as a wrapper of the network leaves them; save the network inside it";
  }
  // Every dot in the first missing name ends a prefix that the file may lack.
  for (size_t dot = first.find('.'); dot != first.npos; dot = first.find('.', dot + 1)) {
    const std::string prefix = first.substr(0, dot + 1);
    const auto without = [&](const std::string& wanted) {
      return wanted.starts_with(prefix) ? wanted.substr(prefix.size()) : wanted;
    };
    if (!explains_most(without)) continue;
    return "the names in the file lack \"" + prefix +
           "\", as those of a part of the network do; save the whole network";
  }
  return "";
}

absl::StatusOr<std::unique_ptr<WeightsFolder>> WeightsFolder::Open(Env& env,
                                                                   const std::string& dir) {
  auto folder = std::unique_ptr<WeightsFolder>(new WeightsFolder(env, dir));
  for (const std::string name : kNames) {
    if (!env.Exists(JoinPath(dir, name))) continue;
    RETURN_IF_ERROR(name.ends_with(".json") ? folder->AddIndex(name) : folder->AddFile(name));
    return folder;
  }
  return InvalidArgument(dir + ": no weights there; expected model.safetensors or " +
                         "pytorch_model.bin, or the .index.json of either");
}

absl::Status WeightsFolder::Add(const std::string& name, Tensor tensor) {
  const std::string path = PathOf(tensor);
  if (tensors_.emplace(name, std::move(tensor)).second) return absl::OkStatus();
  return InvalidArgument(path + ": tensor \"" + name + "\" is in another shard, too");
}

absl::Status WeightsFolder::AddFile(const std::string& name) {
  return name.ends_with(".safetensors") ? AddSafetensors(name) : AddTorchFile(name);
}

absl::Status WeightsFolder::AddSafetensors(const std::string& name) {
  ASSIGN_OR_RETURN(auto file, SafetensorsFile::Open(env_, JoinPath(dir_, name)));
  for (const auto& [tensor, entry] : file->header().tensors) {
    RETURN_IF_ERROR(Add(tensor, {entry.dtype, entry.shape, name}));
    least_bytes_ += entry.bytes;
    most_bytes_ += entry.bytes;
  }
  safetensors_[name] = std::move(file);
  return absl::OkStatus();
}

absl::Status WeightsFolder::AddTorchFile(const std::string& name) {
  ASSIGN_OR_RETURN(auto file, TorchFile::Open(env_, JoinPath(dir_, name)));
  std::map<std::string, uint64_t> least_of;  // storage -> bytes of its smallest tensor
  for (const auto& [tensor, entry] : file->tensors()) {
    RETURN_IF_ERROR(Add(tensor, {entry.dtype, entry.shape, name}));
    ASSIGN_OR_RETURN(uint64_t bytes, ElementCount(entry.shape), JoinPath(dir_, name));
    bytes *= SizeOf(entry.dtype);
    uint64_t& least = least_of.try_emplace(entry.storage, bytes).first->second;
    least = std::min(least, bytes);
    most_bytes_ += bytes;
  }
  for (const auto& [storage, bytes] : least_of) least_bytes_ += bytes;
  torch_files_[name] = std::move(file);
  return absl::OkStatus();
}

absl::Status WeightsFolder::AddIndex(const std::string& name) {
  const std::string path = JoinPath(dir_, name);
  ASSIGN_OR_RETURN(const std::string text, env_.ReadFile(path));
  ASSIGN_OR_RETURN(const WeightsIndex index, ParseWeightsIndex(text), path);
  std::set<std::string> shards;
  for (const auto& [tensor, file] : index.file_of) shards.insert(file);
  for (const std::string& shard : shards) {
    if (!env_.Exists(JoinPath(dir_, shard))) {
      return InvalidArgument(path + ": names the shard " + shard + ", which is missing");
    }
    RETURN_IF_ERROR(AddFile(shard), path);
  }
  for (const auto& [tensor, file] : index.file_of) {
    const auto found = tensors_.find(tensor);
    if (found == tensors_.end() || found->second.file != file) {
      return InvalidArgument(path + ": tensor \"" + tensor + "\" is not in " + file);
    }
  }
  for (const auto& [tensor, entry] : tensors_) {
    if (!index.file_of.contains(tensor)) {
      return InvalidArgument(path + ": does not list tensor \"" + tensor + "\" of " + entry.file);
    }
  }
  const uint64_t total = index.total_bytes.value_or(most_bytes_);
  if (total >= least_bytes_ && total <= most_bytes_) return absl::OkStatus();
  return InvalidArgument(path + ": total_size is " + std::to_string(total) +
                         ", the shards' tensors have " + std::to_string(most_bytes_) +
                         " bytes: they belong to another index, or the number is wrong; if it is, "
                         "remove it");
}

absl::StatusOr<std::string> WeightsFolder::Read(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return NotFound(dir_ + ": no tensor \"" + name + "\"");
  const auto file = safetensors_.find(found->second.file);
  return file != safetensors_.end() ? file->second->Read(name)
                                    : torch_files_.at(found->second.file)->Read(name);
}

absl::Status WeightsFolder::ReadInto(const std::string& name, std::span<char> out) const {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) {
    const auto file = safetensors_.find(found->second.file);
    if (file != safetensors_.end()) return file->second->ReadInto(name, out);
  }
  ASSIGN_OR_RETURN(const std::string bytes, Read(name));
  HALCYON_CHECK(out.size() == bytes.size());
  std::ranges::copy(bytes, out.begin());
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, std::string>> WeightsFolder::Metadata() const {
  if (safetensors_.empty()) return std::map<std::string, std::string>();
  const SafetensorsFile& first = *safetensors_.begin()->second;
  for (const auto& [name, file] : safetensors_) {
    if (file->header().metadata == first.header().metadata) continue;
    return InvalidArgument(file->path() + ": has other metadata than " + BaseName(first.path()) +
                           ": they are shards of two networks");
  }
  return first.header().metadata;
}

absl::StatusOr<std::vector<float>> WeightsFolder::ReadFloats(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return NotFound(dir_ + ": no tensor \"" + name + "\"");
  const Tensor& tensor = found->second;
  if (tensor.dtype != DType::kF32 && tensor.dtype != DType::kF16 && tensor.dtype != DType::kBF16 &&
      tensor.dtype != DType::kF64) {
    return InvalidArgument(PathOf(tensor) + ": tensor \"" + name + "\" is " +
                           std::string(NameOf(tensor.dtype)) +
                           "; only F32, F16, BF16 and F64 are weights");
  }
  ASSIGN_OR_RETURN(const std::string bytes, Read(name));
  return FloatsOf(tensor.dtype, bytes);
}

}  // namespace halcyon::storage
