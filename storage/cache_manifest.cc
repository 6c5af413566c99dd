#include "storage/cache_manifest.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "storage/cache_format.h"
#include "storage/rocks.h"
#include "storage/strict_json.h"

namespace halcyon::storage {
namespace {

constexpr char kFormatName[] = "halcyon page cache";

}  // namespace

std::string EncodeManifest(const CacheManifest& manifest) {
  auto files = nlohmann::ordered_json::array();
  for (const CacheManifest::File& file : manifest.files) {
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"crc32c", file.crc32c}});
  }
  return nlohmann::ordered_json{
             {"format", kFormatName},       {"version", kCacheFormatVersion},
             {"dataset", manifest.dataset}, {"content_digest", manifest.content_digest},
             {"shards", manifest.shards},   {"files", files}}
             .dump(1) +
         "\n";
}

absl::StatusOr<CacheManifest> DecodeManifest(std::string_view text) {
  ASSIGN_OR_RETURN(const nlohmann::json json, ParseStrictJson(text));
  ASSIGN_OR_RETURN(const std::string format, StringMember(json, "format"));
  if (format != kFormatName) return DataLoss("it is of another format: '" + format + "'");
  ASSIGN_OR_RETURN(const uint64_t version, UnsignedMember(json, "version"));
  RETURN_IF_ERROR(CheckVersion(version, "the manifest"));
  CacheManifest manifest;
  ASSIGN_OR_RETURN(manifest.dataset, StringMember(json, "dataset"));
  ASSIGN_OR_RETURN(manifest.content_digest, StringMember(json, "content_digest"));
  ASSIGN_OR_RETURN(const uint64_t shards, UnsignedMember(json, "shards"));
  if (shards > std::numeric_limits<uint32_t>::max()) return DataLoss("too many shards");
  manifest.shards = static_cast<uint32_t>(shards);
  ASSIGN_OR_RETURN(const nlohmann::json* files, ArrayMember(json, "files"));
  for (const nlohmann::json& entry : *files) {
    CacheManifest::File& file = manifest.files.emplace_back();
    ASSIGN_OR_RETURN(file.name, StringMember(entry, "name"));
    ASSIGN_OR_RETURN(file.bytes, UnsignedMember(entry, "bytes"));
    ASSIGN_OR_RETURN(file.crc32c, StringMember(entry, "crc32c"));
    if (file.name.empty() || file.name.find('/') != std::string::npos) {
      return DataLoss("it lists a file outside its folder: '" + file.name + "'");
    }
  }
  return manifest;
}

absl::StatusOr<CacheManifest> LoadManifest(const std::string& dir) {
  Env& env = *Env::Posix();
  if (!env.Exists(dir)) return NotFound("no cache at " + dir);
  const std::string path = JoinPath(dir, kManifestName);
  if (!env.Exists(path)) {
    return DataLoss(path + ": missing; the cache is not whole, build it again");
  }
  ASSIGN_OR_RETURN(const std::string text, env.ReadFile(path));
  ASSIGN_OR_RETURN(CacheManifest manifest, DecodeManifest(text), path);
  for (const CacheManifest::File& file : manifest.files) {
    const std::string file_path = JoinPath(dir, file.name);
    if (!env.Exists(file_path)) return DataLoss(file_path + ": missing, but the manifest lists it");
    const absl::StatusOr<uint64_t> bytes = env.FileSize(file_path);
    if (absl::IsInvalidArgument(bytes.status())) return DataLoss(MessageOf(bytes.status()));
    RETURN_IF_ERROR(bytes.status());
    if (*bytes != file.bytes) {
      return DataLoss(file_path + ": has " + std::to_string(*bytes) + " bytes, the manifest says " +
                      std::to_string(file.bytes));
    }
  }
  return manifest;
}

absl::Status VerifyFiles(const std::string& dir, const CacheManifest& manifest) {
  for (const CacheManifest::File& file : manifest.files) {
    const std::string path = JoinPath(dir, file.name);
    ASSIGN_OR_RETURN(const std::string crc32c, FileCrc32c(path));
    if (crc32c != file.crc32c) {
      return DataLoss(path + ": CRC32c is " + crc32c + ", the manifest says " + file.crc32c);
    }
  }
  return absl::OkStatus();
}

}  // namespace halcyon::storage
