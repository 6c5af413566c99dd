#include "storage/checkpoint_manifest.h"

#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/digest.h"
#include "storage/strict_json.h"

namespace halcyon::storage {
namespace {

using nlohmann::json;

constexpr char kFormat[] = "halcyon-checkpoint";
// So that a unit's bytes, padded for any world size, can be counted in 64 bits.
constexpr uint64_t kNumelMax = uint64_t{1} << 56;

json UnitToJson(const UnitLayout& unit) {
  json parameters = json::array();
  for (const UnitLayout::Parameter& parameter : unit.parameters) {
    parameters.push_back(
        {{"name", parameter.name}, {"shape", parameter.shape}, {"offset", parameter.offset}});
  }
  return {{"name", unit.name}, {"numel", unit.numel}, {"parameters", std::move(parameters)}};
}

json ShardToJson(const ShardFile& shard) {
  return {{"name", shard.name}, {"bytes", shard.bytes}, {"xxh3", Hex64(shard.xxh3)}};
}

// The inverse of Hex64; any other spelling of a number is refused.
absl::StatusOr<uint64_t> ParseHex64(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size() || Hex64(value) != text) {
    return DataLoss("\"" + text + "\" is not a number of 16 lowercase hexadecimal digits");
  }
  return value;
}

absl::StatusOr<UnitLayout> UnitFromJson(const json& object) {
  UnitLayout unit;
  ASSIGN_OR_RETURN(unit.name, StringMember(object, "name"));
  ASSIGN_OR_RETURN(unit.numel, UnsignedMember(object, "numel"));
  if (unit.numel > kNumelMax) return DataLoss("member \"numel\": out of range");
  ASSIGN_OR_RETURN(const json* parameters, ArrayMember(object, "parameters"));
  std::set<std::string> names;
  uint64_t taken = 0;
  for (const json& item : *parameters) {
    UnitLayout::Parameter parameter;
    ASSIGN_OR_RETURN(parameter.name, StringMember(item, "name"));
    ASSIGN_OR_RETURN(parameter.shape, ShapeMember(item, "shape"), parameter.name);
    ASSIGN_OR_RETURN(parameter.offset, UnsignedMember(item, "offset"), parameter.name);
    ASSIGN_OR_RETURN(const uint64_t count, ElementCount(parameter.shape), parameter.name);
    if (!names.insert(parameter.name).second) {
      return DataLoss("parameter \"" + parameter.name + "\" appears twice");
    }
    if (parameter.offset < taken || parameter.offset > unit.numel ||
        count > unit.numel - parameter.offset) {
      return DataLoss("parameter \"" + parameter.name +
                      "\" overlaps the one before or leaves the unit");
    }
    taken = parameter.offset + count;
    unit.parameters.push_back(std::move(parameter));
  }
  return unit;
}

absl::StatusOr<std::vector<UnitLayout>> UnitsFromJson(const json& object) {
  ASSIGN_OR_RETURN(const json* items, ArrayMember(object, "units"));
  std::vector<UnitLayout> units;
  std::set<std::string> names;
  for (const json& item : *items) {
    ASSIGN_OR_RETURN(UnitLayout unit, UnitFromJson(item), "unit " + std::to_string(units.size()));
    if (!names.insert(unit.name).second) {
      return DataLoss("unit \"" + unit.name + "\" appears twice");
    }
    units.push_back(std::move(unit));
  }
  return units;
}

absl::StatusOr<std::vector<ShardFile>> ShardsFromJson(const json& object, uint32_t world_size) {
  ASSIGN_OR_RETURN(const json* items, ArrayMember(object, "shards"));
  if (items->size() != world_size) {
    return DataLoss("member \"shards\": " + std::to_string(items->size()) +
                    " shards, world_size is " + std::to_string(world_size));
  }
  std::vector<ShardFile> shards;
  for (const json& item : *items) {
    ShardFile shard;
    ASSIGN_OR_RETURN(shard.name, StringMember(item, "name"));
    ASSIGN_OR_RETURN(shard.bytes, UnsignedMember(item, "bytes"), shard.name);
    ASSIGN_OR_RETURN(const std::string xxh3, StringMember(item, "xxh3"), shard.name);
    ASSIGN_OR_RETURN(shard.xxh3, ParseHex64(xxh3), shard.name);
    const std::string expected = ShardFileName(static_cast<uint32_t>(shards.size()), world_size);
    if (shard.name != expected) {
      return DataLoss("shard \"" + shard.name + "\": expected the name \"" + expected + "\"");
    }
    shards.push_back(std::move(shard));
  }
  return shards;
}

absl::Status CheckFormat(const json& root) {
  ASSIGN_OR_RETURN(const std::string format, StringMember(root, "format"));
  if (format != kFormat) return DataLoss("member \"format\": \"" + format + "\" is unknown");
  ASSIGN_OR_RETURN(const uint64_t version, UnsignedMember(root, "format_version"));
  if (version != kCheckpointFormatVersion) {
    return FailedPrecondition("format version " + std::to_string(version) +
                              "; this program reads version " +
                              std::to_string(kCheckpointFormatVersion) +
                              ": go on with the version of Halcyon that wrote it, or move the "
                              "checkpoint away");
  }
  return absl::OkStatus();
}

}  // namespace

std::string CommitLine(std::string_view manifest_json) {
  return Sha256::Of(manifest_json) + "  " + kManifestFile + "\n";
}

absl::StatusOr<std::string> ManifestToJson(const CheckpointManifest& manifest) {
  json root = {{"format", kFormat},
               {"format_version", kCheckpointFormatVersion},
               {"step", manifest.step},
               {"incarnation", manifest.claim},
               {"world_size", manifest.world_size},
               {"stage", manifest.stage},
               {"fingerprint", manifest.fingerprint},
               {"seed", manifest.seed},
               {"samples_seen", manifest.samples_seen},
               {"spec_toml", manifest.spec_toml},
               {"inputs", manifest.inputs},
               {"runtime", manifest.runtime},
               {"units", json::array()},
               {"shards", json::array()}};
  if (manifest.sample_log_format > 0) root["sample_log_format"] = manifest.sample_log_format;
  for (const UnitLayout& unit : manifest.units) root["units"].push_back(UnitToJson(unit));
  for (const ShardFile& shard : manifest.shards) root["shards"].push_back(ShardToJson(shard));
  std::string text;
  try {
    text = root.dump(1) + "\n";
  } catch (const json::exception& error) {
    return InvalidArgument(std::string("checkpoint manifest: text is not UTF-8: ") + error.what());
  }
  if (const absl::Status status = ManifestFromJson(text).status(); !status.ok()) {
    return InvalidArgument("checkpoint manifest: " + MessageOf(status));
  }
  return text;
}

absl::StatusOr<CheckpointManifest> ManifestFromJson(std::string_view text) {
  ASSIGN_OR_RETURN(const json root, ParseStrictJson(text));
  RETURN_IF_ERROR(CheckFormat(root));
  CheckpointManifest manifest;
  ASSIGN_OR_RETURN(manifest.step, UnsignedMember(root, "step"));
  ASSIGN_OR_RETURN(manifest.claim, UnsignedMember(root, "incarnation"));
  ASSIGN_OR_RETURN(const uint64_t world_size, UnsignedMember(root, "world_size"));
  if (world_size == 0 || world_size > std::numeric_limits<uint32_t>::max()) {
    return DataLoss("member \"world_size\": out of range");
  }
  manifest.world_size = static_cast<uint32_t>(world_size);
  ASSIGN_OR_RETURN(manifest.stage, StringMember(root, "stage"));
  ASSIGN_OR_RETURN(manifest.fingerprint, StringMember(root, "fingerprint"));
  ASSIGN_OR_RETURN(manifest.seed, UnsignedMember(root, "seed"));
  ASSIGN_OR_RETURN(manifest.samples_seen, UnsignedMember(root, "samples_seen"));
  if (root.contains("sample_log_format")) {
    ASSIGN_OR_RETURN(manifest.sample_log_format, UnsignedMember(root, "sample_log_format"));
  }
  ASSIGN_OR_RETURN(manifest.spec_toml, StringMember(root, "spec_toml"));
  ASSIGN_OR_RETURN(manifest.inputs, StringMapMember(root, "inputs"));
  ASSIGN_OR_RETURN(manifest.runtime, StringMapMember(root, "runtime"));
  ASSIGN_OR_RETURN(manifest.units, UnitsFromJson(root));
  ASSIGN_OR_RETURN(manifest.shards, ShardsFromJson(root, manifest.world_size));
  return manifest;
}

}  // namespace halcyon::storage
