// Cuts the sources into shards of whole documents.
#ifndef HALCYON_PIPELINE_SOURCES_SHARD_PLAN_H_
#define HALCYON_PIPELINE_SOURCES_SHARD_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "jobs/job_spec.h"
#include "pipeline/sources/file_shards.h"

namespace halcyon::pipeline {

// A byte range of one source's text (pipeline/sources/source_text.h) or of its file of ids that
// starts and ends at document boundaries. The first one of a file has what comes before the
// documents, too.
struct SourceRange {
  std::string path;
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t xxh3 = 0;  // of the bytes, to notice a file that changes while the job runs; of ids,
                      // also of how they are stored and where an index parts them
  bool operator==(const SourceRange&) const = default;
};

// What a task reads, in this order: a range of a file, or several small files, whole.
using Shard = std::vector<SourceRange>;

struct ShardPlan {
  std::vector<Shard> shards;
  FileShards files;                         // of data.Files()
  std::vector<std::string> source_digests;  // SHA-256 of the bytes that were cut, by source
};

// The ranges of all shards, in order.
std::vector<SourceRange> RangesOf(const ShardPlan& plan);

// The most shards of a job: each is a task, a file and a record of its own.
inline constexpr size_t kShardsMax = 1 << 20;

// One source: the SHA-256 of its bytes, and its ranges.
struct CutSource {
  std::string sha256;
  std::vector<SourceRange> ranges;
  std::string index_sha256 = {};  // of ids with an index: the SHA-256 of that file's bytes
  bool operator==(const CutSource&) const = default;
};

// Reads the source once. Ranges have about data.shard_bytes bytes; a document is never cut, so a
// larger document makes a larger range, and those of a packed file grow with their position, to a
// ninth of its text at most.
// kInvalidArgument: there are more than kShardsMax shards, a packed file is damaged or holds no
// text, or a file of ids is not in its form; kFailedPrecondition: the source became shorter while
// it was read.
absl::StatusOr<CutSource> Cut(const jobs::DataSpec& data, const std::string& path);

// The sources of `data`, in order, as one plan. Each range of a source is a shard; but sources next
// to each other that are one range each make a shard together while they have at most
// data.shard_bytes bytes, all belong to the same part of the text (jobs/heldout_parts.h), and their
// names leave a task's message short. kInvalidArgument: none has any document, or there are more
// than kShardsMax shards.
absl::StatusOr<ShardPlan> JoinSources(const jobs::DataSpec& data, std::vector<CutSource> sources);

// The error of more than kShardsMax shards.
absl::Status TooManyShards();

// Both: cuts all sources, one after the other.
absl::StatusOr<ShardPlan> PlanShards(const jobs::DataSpec& data);

// The error of a source whose bytes are not those that the job began with.
absl::Status SourceChanged(const std::string& path, const std::string& how);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SOURCES_SHARD_PLAN_H_
