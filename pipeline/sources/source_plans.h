// The remembered plans of sources, HOME/sources/plans/: into which shards the text of a file falls,
// so that a job reads each source once before its stages read the text: for the digest that its
// identity needs and for the plan together. What is remembered only saves reading: a shard's bytes
// are compared with their hash when they are read. Small files are remembered together, by folder:
// a file for each of thousands would take more room than they do.
#ifndef HALCYON_PIPELINE_SOURCES_SOURCE_PLANS_H_
#define HALCYON_PIPELINE_SOURCES_SOURCE_PLANS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "jobs/job_spec.h"
#include "pipeline/sources/plan_format.h"
#include "pipeline/sources/shard_plan.h"
#include "storage/source_digests.h"

namespace halcyon::pipeline {

// Any number of processes may use a folder. Not thread-safe.
class SourcePlans {
 public:
  static constexpr uint64_t kSmallBytesMax = 1 << 20;
  // `dir`: HOME/sources, which also holds the remembered digests. `small_bytes_max`: of a file that
  // is remembered together with others of its folder.
  SourcePlans(Env& env, const std::string& dir, uint64_t small_bytes_max = kSmallBytesMax);

  // SHA-256 of data.Files(), in order: as remembered, else the file is read whole and its plan is
  // remembered, too. Reads as many files at the same time as there are processors.
  // kInvalidArgument: a packed file is damaged or holds no text; kFailedPrecondition: a file
  // changes while it is read.
  absl::StatusOr<std::vector<std::string>> DigestsOf(const jobs::DataSpec& data);
  // Reads all sources, whatever is remembered.
  absl::Status ReadAnew(const jobs::DataSpec& data);

  // The shards of sources with these digests, as remembered, else by reading.
  // kInvalidArgument as pipeline::PlanShards; kFailedPrecondition names a source whose bytes have
  // changed.
  absl::StatusOr<ShardPlan> PlanShards(const jobs::DataSpec& data,
                                       const std::vector<std::string>& source_digests);

 private:
  bool IsSmall(const jobs::DataSpec& data, const std::string& source) const;
  std::string PathOf(const jobs::DataSpec& data, const std::string& source) const;
  // Reads the source; returns its digest.
  absl::StatusOr<std::string> Read(const jobs::DataSpec& data, const std::string& source,
                                   CutSource* plan);
  // `index_sha256`: of the index of ids, "" without one.
  absl::StatusOr<CutSource> PlanOf(const jobs::DataSpec& data, const std::string& source,
                                   const std::string& sha256, const std::string& index_sha256);
  // The plans of those of `files` that are small, in their places: as remembered, unless `anew`,
  // else by reading. An error of a file is what `explain` makes of it.
  using Explain = std::function<absl::Status(size_t file, const absl::Status& error)>;
  absl::StatusOr<std::vector<std::optional<CutSource>>> PlansOfSmall(
      const jobs::DataSpec& data, const std::vector<std::string>& files, bool anew,
      const Explain& explain);
  FolderPlans RememberedOf(const jobs::DataSpec& data, const std::string& folder);

  Env& env_;
  storage::SourceDigests digests_;
  const std::string dir_;
  const uint64_t small_bytes_max_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SOURCES_SOURCE_PLANS_H_
