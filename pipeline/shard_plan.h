// Cuts the sources into shards of whole documents.
#ifndef HALCYON_PIPELINE_SHARD_PLAN_H_
#define HALCYON_PIPELINE_SHARD_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "jobs/job_spec.h"

namespace halcyon::pipeline {

// A byte range of one source that starts and ends at document boundaries.
struct SourceShard {
  uint32_t shard = 0;
  std::string path;
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t xxh3 = 0;  // of the bytes, to notice a file that changes under the job
  bool operator==(const SourceShard&) const = default;
};

// Reads every source once. Shards have about data.shard_bytes bytes; a document is never cut, so a
// larger document makes a larger shard. kInvalidArgument: no source has any document.
absl::StatusOr<std::vector<SourceShard>> PlanShards(const jobs::DataSpec& data);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SHARD_PLAN_H_
