#include "storage/weights/weights_folder.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "storage/half.h"
#include "storage/strict_json.h"

namespace halcyon::storage {
namespace {

constexpr const char* kNames[] = {"model.safetensors", "model.safetensors.index.json",
                                  "pytorch_model.bin", "pytorch_model.bin.index.json"};

std::vector<float> FloatsOf(DType dtype, const std::string& bytes) {
  std::vector<float> floats(bytes.size() / SizeOf(dtype));
  if (dtype == DType::kF32) {
    if (!floats.empty()) std::memcpy(floats.data(), bytes.data(), bytes.size());
  } else if (dtype == DType::kF16) {
    DecodeHalves(bytes.data(), floats);
  } else if (dtype == DType::kBF16) {
    for (size_t i = 0; i < floats.size(); ++i) {
      uint16_t half;
      std::memcpy(&half, bytes.data() + 2 * i, sizeof(half));
      floats[i] = std::bit_cast<float>(static_cast<uint32_t>(half) << 16);
    }
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

absl::Status WeightsFolder::AddFile(const std::string& name) {
  const std::string path = JoinPath(dir_, name);
  const auto add = [&](const std::string& tensor, DType dtype, const std::vector<int64_t>& shape) {
    if (tensors_.emplace(tensor, Tensor{dtype, shape, name}).second) return absl::OkStatus();
    return InvalidArgument(path + ": tensor \"" + tensor + "\" is in another shard, too");
  };
  if (name.ends_with(".safetensors")) {
    ASSIGN_OR_RETURN(auto file, SafetensorsFile::Open(env_, path));
    for (const auto& [tensor, entry] : file->header().tensors) {
      RETURN_IF_ERROR(add(tensor, entry.dtype, entry.shape));
    }
    safetensors_[name] = std::move(file);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(auto file, TorchFile::Open(env_, path));
  for (const auto& [tensor, entry] : file->tensors()) {
    RETURN_IF_ERROR(add(tensor, entry.dtype, entry.shape));
  }
  torch_files_[name] = std::move(file);
  return absl::OkStatus();
}

absl::Status WeightsFolder::AddIndex(const std::string& name) {
  const std::string path = JoinPath(dir_, name);
  ASSIGN_OR_RETURN(const std::string text, env_.ReadFile(path));
  ASSIGN_OR_RETURN(const nlohmann::json index, ParseStrictJson(text), path);
  ASSIGN_OR_RETURN(const auto files, StringMapMember(index, "weight_map"), path);
  std::set<std::string> shards;
  for (const auto& [tensor, file] : files) {
    // A name from a file of unknown origin must not lead out of its folder.
    if (file.find('/') != file.npos ||
        !(file.ends_with(".bin") || file.ends_with(".safetensors"))) {
      return InvalidArgument(path + ": \"" + file + "\" is no name of a shard in this folder");
    }
    shards.insert(file);
  }
  for (const std::string& shard : shards) RETURN_IF_ERROR(AddFile(shard), path);
  for (const auto& [tensor, file] : files) {
    const auto found = tensors_.find(tensor);
    if (found == tensors_.end() || found->second.file != file) {
      return InvalidArgument(path + ": tensor \"" + tensor + "\" is not in " + file);
    }
  }
  if (files.size() == tensors_.size()) return absl::OkStatus();
  for (const auto& [tensor, entry] : tensors_) {
    if (!files.contains(tensor)) {
      return InvalidArgument(path + ": does not list tensor \"" + tensor + "\" of " + entry.file);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<float>> WeightsFolder::ReadFloats(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return NotFound(dir_ + ": no tensor \"" + name + "\"");
  const Tensor& tensor = found->second;
  if (tensor.dtype != DType::kF32 && tensor.dtype != DType::kF16 && tensor.dtype != DType::kBF16 &&
      tensor.dtype != DType::kF64) {
    return InvalidArgument(JoinPath(dir_, tensor.file) + ": tensor \"" + name + "\" is " +
                           std::string(NameOf(tensor.dtype)) +
                           "; only F32, F16, BF16 and F64 are weights");
  }
  const auto file = safetensors_.find(tensor.file);
  ASSIGN_OR_RETURN(const std::string bytes, file != safetensors_.end()
                                                ? file->second->Read(name)
                                                : torch_files_.at(tensor.file)->Read(name));
  return FloatsOf(tensor.dtype, bytes);
}

}  // namespace halcyon::storage
