// How much of a token cache each source gave.
#ifndef HALCYON_PIPELINE_SOURCES_SOURCE_COUNTS_H_
#define HALCYON_PIPELINE_SOURCES_SOURCE_COUNTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "jobs/job_spec.h"
#include "pipeline/sources/file_shards.h"
#include "storage/page_cache.h"

namespace halcyon::pipeline {

struct SourceCounts {
  std::string name;
  uint64_t train_documents = 0, train_tokens = 0;
  uint64_t heldout_documents = 0, heldout_tokens = 0;
  std::optional<double> share = {};  // of the model's training windows; nullopt: no source has one
};

// Of each [[data.source]], or data.sources together, and of data.heldout_sources
// (jobs/heldout_parts.h), from the records of the shards. Empty where there is one part only, or
// `files` is not known or of others.
std::vector<SourceCounts> CountSources(const jobs::DataSpec& data, const FileShards& files,
                                       const storage::CacheReader& tokens);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SOURCES_SOURCE_COUNTS_H_
