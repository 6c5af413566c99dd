#include "worker/inputs/network_file.h"

#include <ATen/ATen.h>

#include <charconv>
#include <cstring>

#include "storage/artifact_reader.h"

namespace halcyon::worker {
namespace {

constexpr char kSpecFile[] = "job.toml";

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
                                const std::vector<storage::TensorView>& tensors,
                                const std::map<std::string, std::string>& metadata,
                                const std::string& spec_toml) {
  RETURN_IF_ERROR(env.RemoveTree(dir));
  RETURN_IF_ERROR(env.CreateDirs(dir));
  const std::string weights = JoinPath(dir, kWeightsFile);
  RETURN_IF_ERROR(storage::WriteSafetensors(env, weights, tensors, metadata).status());
  return WriteFileAtomically(env, JoinPath(dir, kSpecFile), spec_toml);
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

absl::StatusOr<std::string> ReadParameter(const storage::SafetensorsFile& file,
                                          const std::string& name,
                                          const std::vector<int64_t>& shape) {
  ASSIGN_OR_RETURN(const storage::TensorEntry entry, file.Find(name));
  if (entry.dtype != storage::DType::kF32 || entry.shape != shape) {
    return DataLoss(file.path() + ": tensor " + name + " is " +
                    std::string(storage::NameOf(entry.dtype)) + " " + ShapeText(entry.shape) +
                    ", expected F32 " + ShapeText(shape));
  }
  return file.Read(name);
}

absl::StatusOr<NetworkDescription> DescribeNetwork(Env& env, const std::string& dir,
                                                   const std::string& digest) {
  NetworkDescription description;
  ASSIGN_OR_RETURN(auto artifact, storage::ArtifactReader::Open(env, dir, digest));
  ASSIGN_OR_RETURN(const std::string weights, artifact.Verified(kWeightsFile));
  if (!env.Exists(weights)) {
    return InvalidArgument(dir + ": no " + kWeightsFile +
                           " there; give the folder of an autoencoder or model artifact");
  }
  ASSIGN_OR_RETURN(const auto file, storage::SafetensorsFile::Open(env, weights));
  description.metadata = file->header().metadata;
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
  return DataLoss(std::string(kWeightsFile) + ": metadata lacks a number \"" + name + "\"");
}

absl::Status ReadNetwork(Env& env, const std::string& dir, const std::vector<model::Unit*>& units) {
  ASSIGN_OR_RETURN(const auto file,
                   storage::SafetensorsFile::Open(env, JoinPath(dir, kWeightsFile)));
  size_t used = 0;
  for (model::Unit* unit : units) {
    unit->Materialise();
    for (model::Parameter& parameter : unit->parameters()) {
      ASSIGN_OR_RETURN(const std::string bytes,
                       ReadParameter(*file, parameter.name, parameter.shape));
      std::memcpy(parameter.value.data_ptr<float>(), bytes.data(), bytes.size());
      ++used;
    }
  }
  for (const auto& [name, entry] : file->header().tensors) {
    if (used == file->header().tensors.size()) break;
    bool known = false;
    for (model::Unit* unit : units) {
      for (const auto& parameter : unit->parameters()) known = known || parameter.name == name;
    }
    if (!known) return DataLoss(file->path() + ": unexpected tensor " + name);
  }
  return absl::OkStatus();
}

}  // namespace halcyon::worker
