#include "pipeline/sources/file_shards.h"

#include <utility>

#include "base/check.h"

namespace halcyon::pipeline {
namespace {

using nlohmann::json;

constexpr char kFirstShards[] = "first_shards_of_files";  // null: the file has no text
constexpr char kShards[] = "shards";
// Of earlier versions, in which a shard was of one file: how many shards each file has.
constexpr char kShardsOfSources[] = "shards_of_sources";

std::vector<std::optional<uint32_t>> FirstShards(const std::vector<uint32_t>& shards_of_files) {
  std::vector<std::optional<uint32_t>> first_shards;
  uint32_t next = 0;
  for (const uint32_t shards : shards_of_files) {
    first_shards.push_back(shards > 0 ? std::optional(next) : std::nullopt);
    next += shards;
  }
  return first_shards;
}

}  // namespace

FileShards::FileShards(std::vector<std::optional<uint32_t>> first_shards, uint32_t shards)
    : first_shards_(std::move(first_shards)), shards_(shards) {}

FileShards FileShards::FromFacts(const json& facts) {
  try {
    const uint32_t shards = facts.at(kShards).get<uint32_t>();
    if (const auto counts = facts.find(kShardsOfSources); counts != facts.end()) {
      return FileShards(FirstShards(counts->get<std::vector<uint32_t>>()), shards);
    }
    std::vector<std::optional<uint32_t>> first_shards;
    uint32_t least = 0;
    for (const json& first : facts.at(kFirstShards)) {
      first_shards.emplace_back();
      if (first.is_null()) continue;
      first_shards.back() = first.get<uint32_t>();
      if (*first_shards.back() < least || *first_shards.back() >= shards) return FileShards();
      least = *first_shards.back();
    }
    return FileShards(std::move(first_shards), shards);
  } catch (const json::exception&) {
    return FileShards();
  }
}

void FileShards::AddTo(json* facts) const {
  (*facts)[kShards] = shards_;
  json& list = (*facts)[kFirstShards] = json::array();
  for (const auto& first : first_shards_) list.push_back(first ? json(*first) : json());
}

bool FileShards::AreOf(const jobs::DataSpec& data, uint32_t shards) const {
  return first_shards_.size() == data.Files().size() && shards_ == shards;
}

uint32_t FileShards::FirstFrom(size_t file) const {
  HALCYON_CHECK(file <= first_shards_.size());
  while (file < first_shards_.size() && !first_shards_[file]) ++file;
  return file < first_shards_.size() ? *first_shards_[file] : shards_;
}

std::optional<FileShards::Range> FileShards::FilesOf(uint32_t shard) const {
  std::optional<Range> range;
  for (size_t file = 0; file < first_shards_.size(); ++file) {
    const auto& first = first_shards_[file];
    if (!first || *first > shard) continue;
    const bool is_shared = range && *first_shards_[range->first] == *first;
    range = Range{is_shared ? range->first : file, file};
  }
  return range;
}

uint32_t HeldoutShards(const json& facts) {
  const auto found = facts.find(kHeldoutShards);
  return found != facts.end() && found->is_number_unsigned() ? found->get<uint32_t>() : 0;
}

}  // namespace halcyon::pipeline
