// Cuts the sources into shards of whole documents.
#ifndef HALCYON_PIPELINE_SHARD_PLAN_H_
#define HALCYON_PIPELINE_SHARD_PLAN_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "jobs/job_spec.h"

namespace halcyon::pipeline {

// A byte range of one source's text (pipeline/source_text.h) or of its file of ids that starts and
// ends at document boundaries. The first one of a file has what comes before the documents, too.
struct SourceShard {
  uint32_t shard = 0;
  std::string path;
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t xxh3 = 0;  // of the bytes, to notice a file that changes while the job runs; of ids,
                      // also of how they are stored and where an index parts them
  bool operator==(const SourceShard&) const = default;
};

struct ShardPlan {
  std::vector<SourceShard> shards;
  std::vector<std::string> source_digests;  // SHA-256 of the bytes that were cut, by source
};

// The most shards of a job: each is a task, a file and a record of its own.
inline constexpr size_t kShardsMax = 1 << 20;

// One source: the SHA-256 of its bytes, and its shards, which have no numbers yet.
struct CutSource {
  std::string sha256;
  std::vector<SourceShard> shards;
  std::string index_sha256 = {};  // of ids with an index: the SHA-256 of that file's bytes
  bool operator==(const CutSource&) const = default;
};

// Reads the source once. Shards have about data.shard_bytes bytes; a document is never cut, so a
// larger document makes a larger shard, and those of a packed file grow with their position, to a
// ninth of its text at most.
// kInvalidArgument: there are more than kShardsMax shards, a packed file is damaged or holds no
// text, or a file of ids is not in its form; kFailedPrecondition: the source became shorter while
// it was read.
absl::StatusOr<CutSource> Cut(const jobs::DataSpec& data, const std::string& path);

// The sources of `data`, in order, as one plan. kInvalidArgument: none has any document, or there
// are more than kShardsMax shards.
absl::StatusOr<ShardPlan> JoinSources(const jobs::DataSpec& data, std::vector<CutSource> sources);

// The error of more than kShardsMax shards.
absl::Status TooManyShards();

// Both: cuts all sources, one after the other.
absl::StatusOr<ShardPlan> PlanShards(const jobs::DataSpec& data);

// Into how many shards each of data.Files() falls, in their order: a fact of the tokens' artifact
// of this name.
inline constexpr char kShardsOfSources[] = "shards_of_sources";
// How many shards, the last ones, are of data.heldout_sources; not there without these.
inline constexpr char kHeldoutShards[] = "heldout_shards";
std::vector<uint32_t> ShardsOfSources(const jobs::DataSpec& data, const ShardPlan& plan);
// What the artifact's facts say of it; empty where they do not, as an earlier version's.
std::vector<uint32_t> ShardsOfSources(const nlohmann::json& facts);
// Whether tokens of so many shards were made of these files, by the first of these facts.
bool AreShardsOf(const jobs::DataSpec& data, const std::vector<uint32_t>& shards_of_files,
                 uint32_t shards);
// The fact kHeldoutShards; 0 without it.
uint32_t HeldoutShards(const nlohmann::json& facts);

// The error of a source whose bytes are not those that the job began with.
absl::Status SourceChanged(const std::string& path, const std::string& how);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SHARD_PLAN_H_
