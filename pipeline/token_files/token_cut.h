// Cuts a file of ids into ranges.
#ifndef HALCYON_PIPELINE_TOKEN_FILES_TOKEN_CUT_H_
#define HALCYON_PIPELINE_TOKEN_FILES_TOKEN_CUT_H_

#include <string>

#include "base/status.h"
#include "jobs/job_spec.h"
#include "pipeline/sources/shard_plan.h"

namespace halcyon::pipeline {

// As Cut (pipeline/sources/shard_plan.h), of one of data.Files(). Holds a block of the file at a
// time. An index has no ranges of its own.
absl::StatusOr<CutSource> CutTokens(const jobs::DataSpec& data, const std::string& path);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKEN_FILES_TOKEN_CUT_H_
