#include "worker/inputs/network_file.h"

#include <ATen/ATen.h>

#include <charconv>
#include <set>
#include <span>

#include "storage/artifact_reader.h"

namespace halcyon::worker {
namespace {

using storage::WeightsFolder;

// A network's parameters are float32. kDataLoss: missing, or of another type or shape.
absl::Status CheckParameter(const WeightsFolder& weights, const std::string& name,
                            const std::vector<int64_t>& shape) {
  const auto found = weights.tensors().find(name);
  if (found == weights.tensors().end()) {
    return DataLoss(weights.dir() + ": no tensor \"" + name + "\"");
  }
  const WeightsFolder::Tensor& tensor = found->second;
  if (tensor.dtype == storage::DType::kF32 && tensor.shape == shape) return absl::OkStatus();
  return DataLoss(weights.PathOf(tensor) + ": tensor " + name + " is " +
                  std::string(storage::NameOf(tensor.dtype)) + " " + ShapeText(tensor.shape) +
                  ", expected F32 " + ShapeText(shape));
}

// Compares the files that hold the weights with artifact.json. A model.safetensors would be read
// in place of shards, so it is compared first: one that is not recorded is refused.
absl::Status VerifyWeights(Env& env, const std::string& dir, storage::ArtifactReader& artifact) {
  if (!artifact.artifact()) {
    if (HasWeights(env, dir)) return absl::OkStatus();
    return InvalidArgument(dir + ": no " + storage::kWeightsFile +
                           " there; give the folder of an autoencoder or model artifact");
  }
  bool has_index = false;
  for (const storage::ArtifactFile& file : artifact.artifact()->files) {
    has_index = has_index || file.name == storage::kWeightsIndexFile;
  }
  if (!has_index || env.Exists(JoinPath(dir, storage::kWeightsFile))) {
    return artifact.Verified(storage::kWeightsFile).status();
  }
  for (const storage::ArtifactFile& file : artifact.artifact()->files) {
    if (storage::HoldsWeights(file.name)) {
      RETURN_IF_ERROR(artifact.Verified(file.name).status());
    }
  }
  return artifact.Verified(storage::kWeightsIndexFile).status();
}

}  // namespace

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t extent : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(extent);
  }
  return text + "]";
}

absl::Status WriteNetworkFolder(Env& env, const std::string& dir,
                                const storage::WeightsLayout& layout,
                                const std::map<std::string, std::string>& metadata,
                                const std::string& spec_toml, const storage::TensorSource& source) {
  RETURN_IF_ERROR(env.RemoveTree(dir));
  RETURN_IF_ERROR(env.CreateDirs(dir));
  RETURN_IF_ERROR(storage::WriteWeights(env, dir, layout, metadata, source));
  return WriteFileAtomically(env, JoinPath(dir, kSpecFile), spec_toml);
}

bool HasWeights(Env& env, const std::string& dir) {
  return env.Exists(JoinPath(dir, storage::kWeightsFile)) ||
         env.Exists(JoinPath(dir, storage::kWeightsIndexFile));
}

std::string_view HeadName(jobs::HeadKind head) {
  switch (head) {
    case jobs::HeadKind::kEnergy:
      return "energy";
    case jobs::HeadKind::kFlow:
      return "flow";
    case jobs::HeadKind::kDiffusion:
      return "diffusion";
    case jobs::HeadKind::kSoftmax:
      return "softmax";
  }
  return "";
}

std::string NetworkKind(jobs::HeadKind head) {
  const std::string name(HeadName(head));
  return head == jobs::HeadKind::kSoftmax ? name : "calm-" + name;
}

absl::StatusOr<std::string> ReadParameter(const WeightsFolder& weights, const std::string& name,
                                          const std::vector<int64_t>& shape) {
  RETURN_IF_ERROR(CheckParameter(weights, name, shape));
  return weights.Read(name);
}

absl::StatusOr<NetworkDescription> DescribeNetwork(Env& env, const std::string& dir,
                                                   const std::string& digest) {
  NetworkDescription description;
  ASSIGN_OR_RETURN(auto artifact, storage::ArtifactReader::Open(env, dir, digest));
  RETURN_IF_ERROR(VerifyWeights(env, dir, artifact));
  ASSIGN_OR_RETURN(const auto weights, WeightsFolder::Open(env, dir));
  ASSIGN_OR_RETURN(description.metadata, weights->Metadata());
  ASSIGN_OR_RETURN(const std::string spec_path, artifact.Verified(kSpecFile));
  ASSIGN_OR_RETURN(const std::string toml, env.ReadFile(spec_path));
  ASSIGN_OR_RETURN(description.spec,
                   jobs::ParseJobSpec(toml, spec_path, dir, /*check_files=*/false));
  return description;
}

absl::StatusOr<int64_t> MetadataNumber(const NetworkDescription& description,
                                       const std::string& name) {
  const auto found = description.metadata.find(name);
  int64_t value = 0;
  if (found != description.metadata.end()) {
    const std::string& text = found->second;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    constexpr int64_t kMost = int64_t{1} << 31;
    if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && value >= 0 &&
        value <= kMost) {
      return value;
    }
  }
  return DataLoss(std::string(storage::kWeightsFile) + ": metadata lacks a number \"" + name +
                  "\"");
}

absl::Status ReadNetwork(Env& env, const std::string& dir, const std::vector<model::Unit*>& units,
                         c10::Device device) {
  ASSIGN_OR_RETURN(const auto weights, WeightsFolder::Open(env, dir));
  std::set<std::string> known;
  for (model::Unit* unit : units) {
    for (const model::Parameter& parameter : unit->parameters()) {
      RETURN_IF_ERROR(CheckParameter(*weights, parameter.name, parameter.shape));
      known.insert(parameter.name);
    }
  }
  for (const auto& [name, tensor] : weights->tensors()) {
    if (!known.contains(name)) {
      return DataLoss(weights->PathOf(tensor) + ": unexpected tensor " + name);
    }
  }
  for (model::Unit* unit : units) {
    unit->Materialise(device);
    for (model::Parameter& parameter : unit->parameters()) {
      const at::Tensor& value = parameter.value;
      const at::Tensor read = value.is_cpu() ? value : at::empty(parameter.shape, at::kFloat);
      const std::span<char> place(static_cast<char*>(read.mutable_data_ptr()), read.nbytes());
      RETURN_IF_ERROR(weights->ReadInto(parameter.name, place));
      if (!value.is_cpu()) value.detach().copy_(read);
    }
  }
  return absl::OkStatus();
}

}  // namespace halcyon::worker
