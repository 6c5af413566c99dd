// Which shards of the tokens have the text of which file: facts of the tokens' artifact.
#ifndef HALCYON_PIPELINE_SOURCES_FILE_SHARDS_H_
#define HALCYON_PIPELINE_SOURCES_FILE_SHARDS_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "jobs/job_spec.h"

namespace halcyon::pipeline {

// A file has a shard, or several in a row, or has one together with files next to it. A value.
class FileShards {
 public:
  // Not known.
  FileShards() = default;
  // `first_shards`: by file the first of `shards` shards that has text of it, ascending; nullopt:
  // the file has no text.
  FileShards(std::vector<std::optional<uint32_t>> first_shards, uint32_t shards);
  // As the facts of the artifact say; not known where they do not.
  static FileShards FromFacts(const nlohmann::json& facts);
  void AddTo(nlohmann::json* facts) const;

  // Whether tokens of so many shards were made of data.Files().
  bool AreOf(const jobs::DataSpec& data, uint32_t shards) const;
  // The first shard that has text of this file or of one after it; `shards` where there is none.
  // REQUIRES: file <= the number of files.
  uint32_t FirstFrom(size_t file) const;
  // The files of which a shard has text: the first and the last one. nullopt: not known.
  struct Range {
    size_t first = 0, last = 0;
    bool operator==(const Range&) const = default;
  };
  std::optional<Range> FilesOf(uint32_t shard) const;

  bool operator==(const FileShards&) const = default;

 private:
  std::vector<std::optional<uint32_t>> first_shards_;
  uint32_t shards_ = 0;
};

// How many shards, the last ones, are of data.heldout_sources: a fact; not there without these.
inline constexpr char kHeldoutShards[] = "heldout_shards";
// 0 where the facts of the tokens' artifact do not have it.
uint32_t HeldoutShards(const nlohmann::json& facts);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SOURCES_FILE_SHARDS_H_
