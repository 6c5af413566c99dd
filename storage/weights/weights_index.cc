#include "storage/weights/weights_index.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "storage/strict_json.h"

namespace halcyon::storage {
namespace {

using nlohmann::json;

constexpr char kTotalSize[] = "total_size";
constexpr char kWeightMap[] = "weight_map";

bool IsShardName(const std::string& name) {
  return name.find('/') == name.npos && (name.ends_with(".bin") || name.ends_with(".safetensors"));
}

// "00012".
std::string FileNumber(size_t number) {
  constexpr size_t kDigits = 5;
  const std::string digits = std::to_string(number);
  return std::string(kDigits - std::min(kDigits, digits.size()), '0') + digits;
}

// Some tools write the total as a floating-point number.
absl::StatusOr<std::optional<uint64_t>> TotalOf(const json& index) {
  const auto metadata = index.find("metadata");
  if (metadata == index.end() || !metadata->is_object()) return std::nullopt;
  const auto total = metadata->find(kTotalSize);
  if (total == metadata->end()) return std::nullopt;
  constexpr double kExactMax = 9007199254740992;  // 2^53
  if (total->is_number_unsigned()) return total->get<uint64_t>();
  if (total->is_number_float()) {
    const auto value = total->get<double>();
    if (value >= 0 && value <= kExactMax) return static_cast<uint64_t>(value);
  }
  return DataLoss(std::string("metadata: member \"") + kTotalSize +
                  "\": expected a number of bytes");
}

}  // namespace

WeightsLayout PlanWeights(std::vector<TensorInfo> tensors, uint64_t shard_bytes_max) {
  SortAsInFile(tensors);
  WeightsLayout layout;
  layout.files.emplace_back();
  uint64_t file_bytes = 0;
  for (TensorInfo& tensor : tensors) {
    const uint64_t bytes = BytesOf(tensor);
    if (!layout.files.back().tensors.empty() && file_bytes + bytes > shard_bytes_max) {
      layout.files.emplace_back();
      file_bytes = 0;
    }
    layout.files.back().tensors.push_back(std::move(tensor));
    file_bytes += bytes;
    layout.tensor_bytes += bytes;
  }
  const size_t count = layout.files.size();
  for (size_t i = 0; i < count; ++i) {
    layout.files[i].name =
        count == 1 ? kWeightsFile
                   : "model-" + FileNumber(i + 1) + "-of-" + FileNumber(count) + ".safetensors";
  }
  return layout;
}

std::string WeightsIndexText(const WeightsLayout& layout) {
  json map = json::object();
  for (const WeightsLayout::File& file : layout.files) {
    for (const TensorInfo& tensor : file.tensors) map[tensor.name] = file.name;
  }
  const json index = {{"metadata", {{kTotalSize, layout.tensor_bytes}}}, {kWeightMap, map}};
  return index.dump(2) + "\n";
}

absl::StatusOr<WeightsIndex> ParseWeightsIndex(std::string_view text) {
  ASSIGN_OR_RETURN(const json root, ParseStrictJson(text));
  WeightsIndex index;
  ASSIGN_OR_RETURN(index.file_of, StringMapMember(root, kWeightMap));
  ASSIGN_OR_RETURN(index.total_bytes, TotalOf(root));
  for (const auto& [tensor, file] : index.file_of) {
    if (IsShardName(file)) continue;
    // A name from a file of unknown origin must not lead out of its folder.
    return InvalidArgument("\"" + file + "\", where tensor \"" + tensor +
                           "\" should be, is no name of a shard in this folder");
  }
  return index;
}

std::string WeightsDigest(const std::map<std::string, std::string>& sha256_of) {
  if (sha256_of.size() == 1 && sha256_of.contains(kWeightsFile)) return sha256_of.at(kWeightsFile);
  Sha256 digest;
  for (const auto& [name, sha256] : sha256_of) digest.Update(sha256 + "  " + name + "\n");
  return digest.HexDigest();
}

absl::StatusOr<std::string> DigestOfWeights(Env& env, const std::string& dir) {
  const std::string whole = JoinPath(dir, kWeightsFile), path = JoinPath(dir, kWeightsIndexFile);
  if (env.Exists(whole) || !env.Exists(path)) return Sha256OfFile(whole);
  ASSIGN_OR_RETURN(const std::string text, env.ReadFile(path));
  ASSIGN_OR_RETURN(const WeightsIndex index, ParseWeightsIndex(text), path);
  std::map<std::string, std::string> sha256_of;
  for (const auto& [tensor, file] : index.file_of) {
    if (sha256_of.contains(file)) continue;
    ASSIGN_OR_RETURN(sha256_of[file], Sha256OfFile(JoinPath(dir, file)));
  }
  return WeightsDigest(sha256_of);
}

}  // namespace halcyon::storage
