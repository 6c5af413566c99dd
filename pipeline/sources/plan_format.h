// The files of remembered plans (pipeline/sources/source_plans.h).
#ifndef HALCYON_PIPELINE_SOURCES_PLAN_FORMAT_H_
#define HALCYON_PIPELINE_SOURCES_PLAN_FORMAT_H_

#include <map>
#include <string>
#include <string_view>

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

// A small file as it was when it was read, and where its text may be cut. Of a file of ids, one
// without an index.
struct RememberedSource {
  storage::SourceRecord file;
  CutSource plan;
};
using FolderPlans = std::map<std::string, RememberedSource>;  // by path

// The file of a folder's small files together, in the same form, of the same settings.
std::string EncodeFolderPlans(const jobs::DataSpec& data, const std::string& folder,
                              const FolderPlans& plans);
// Errors as of DecodeSourcePlan.
absl::StatusOr<FolderPlans> DecodeFolderPlans(const jobs::DataSpec& data, const std::string& folder,
                                              std::string_view text);

// The name of the file with the plan of a path, or with those of a folder's small files.
std::string PlanFileName(const jobs::DataSpec& data, const std::string& path);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SOURCES_PLAN_FORMAT_H_
