// The remembered plans of sources, HOME/sources/plans/: into which shards the text of a file falls,
// so that a job reads each source once before its stages read the text: for the digest that its
// identity needs and for the plan together. What is remembered only saves reading: a shard's bytes
// are compared with their hash when they are read.
#ifndef HALCYON_PIPELINE_SOURCES_SOURCE_PLANS_H_
#define HALCYON_PIPELINE_SOURCES_SOURCE_PLANS_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "jobs/job_spec.h"
#include "pipeline/sources/shard_plan.h"
#include "storage/source_digests.h"

namespace halcyon::pipeline {

// The file of one plan: a line with the XXH3 of the rest, in hexadecimal, then JSON. A plan is of
// a path and of the settings that say where text may be cut.
std::string EncodeSourcePlan(const jobs::DataSpec& data, const std::string& path,
                             const CutSource& plan);
// kDataLoss on anything that EncodeSourcePlan did not write; kNotFound: of another path or of other
// settings.
absl::StatusOr<CutSource> DecodeSourcePlan(const jobs::DataSpec& data, const std::string& path,
                                           std::string_view text);

// Any number of processes may use a folder. Not thread-safe.
class SourcePlans {
 public:
  // `dir`: HOME/sources, which also holds the remembered digests.
  SourcePlans(Env& env, const std::string& dir);

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
  std::string PathOf(const jobs::DataSpec& data, const std::string& source) const;
  // Reads the source; returns its digest.
  absl::StatusOr<std::string> Read(const jobs::DataSpec& data, const std::string& source,
                                   CutSource* plan);
  // `index_sha256`: of the index of ids, "" without one.
  absl::StatusOr<CutSource> PlanOf(const jobs::DataSpec& data, const std::string& source,
                                   const std::string& sha256, const std::string& index_sha256);

  Env& env_;
  storage::SourceDigests digests_;
  const std::string dir_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SOURCES_SOURCE_PLANS_H_
