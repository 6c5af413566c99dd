#include "storage/cache_manifest.h"

#include <nlohmann/json.hpp>

#include "base/env.h"
#include "storage/cache_format.h"
#include "storage/rocks.h"

namespace halcyon::storage {
namespace {

constexpr char kFormatName[] = "halcyon page cache";

}  // namespace

std::string EncodeManifest(const CacheManifest& manifest) {
  auto files = nlohmann::ordered_json::array();
  for (const CacheManifest::File& file : manifest.files) {
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"crc32c", file.crc32c}});
  }
  return nlohmann::ordered_json{{"format", kFormatName},
                                {"version", kCacheFormatVersion},
                                {"dataset", manifest.dataset},
                                {"content_digest", manifest.content_digest},
                                {"shards", manifest.shards},
                                {"files", files}}
             .dump(1) +
         "\n";
}

absl::StatusOr<CacheManifest> DecodeManifest(std::string_view text) {
  try {
    const auto json = nlohmann::json::parse(text);
    if (json.at("format").get<std::string>() != kFormatName) {
      return DataLoss("it is of another format: " + json.at("format").dump());
    }
    if (const auto version = json.at("version").get<uint64_t>(); version > kCacheFormatVersion) {
      return FailedPrecondition("written in cache format " + std::to_string(version) +
                                ", this program reads up to " +
                                std::to_string(kCacheFormatVersion) +
                                "; use a newer Halcyon or build the cache again");
    }
    CacheManifest manifest;
    manifest.dataset = json.at("dataset").get<std::string>();
    manifest.content_digest = json.at("content_digest").get<std::string>();
    manifest.shards = json.at("shards").get<uint32_t>();
    for (const auto& file : json.at("files")) {
      manifest.files.push_back({file.at("name").get<std::string>(),
                                file.at("bytes").get<uint64_t>(),
                                file.at("crc32c").get<std::string>()});
      const std::string& name = manifest.files.back().name;
      if (name.empty() || name.find('/') != std::string::npos) {
        return DataLoss("it lists a file outside its folder: '" + name + "'");
      }
    }
    return manifest;
  } catch (const nlohmann::json::exception& error) {
    return DataLoss(error.what());
  }
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
    ASSIGN_OR_RETURN(const uint64_t bytes, env.FileSize(file_path));
    if (bytes != file.bytes) {
      return DataLoss(file_path + ": has " + std::to_string(bytes) + " bytes, the manifest says " +
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
