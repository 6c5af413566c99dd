#include "pipeline/sources/source_counts.h"

#include "jobs/heldout_parts.h"
#include "jobs/mixture.h"

namespace halcyon::pipeline {

std::vector<SourceCounts> CountSources(const jobs::DataSpec& data, const FileShards& files,
                                       const storage::CacheReader& tokens) {
  using storage::Split;
  std::vector<SourceCounts> sources;
  if (!files.AreOf(data, tokens.shards())) return sources;
  const std::vector<double> shares = jobs::SharesOf(data);
  size_t file = 0;
  uint32_t shard = 0;
  for (const jobs::HeldoutPart& part : jobs::HeldoutPartsOf(data)) {
    SourceCounts counts{.name = part.name};
    if (sources.size() < shares.size()) counts.share = shares[sources.size()];
    file += part.files;
    for (const uint32_t end = files.FirstFrom(file); shard < end; ++shard) {
      counts.train_documents += tokens.Count(shard, Split::kTrain, "documents");
      counts.train_tokens += tokens.Count(shard, Split::kTrain, "tokens");
      counts.heldout_documents += tokens.Count(shard, Split::kHeldout, "documents");
      counts.heldout_tokens += tokens.Count(shard, Split::kHeldout, "tokens");
    }
    sources.push_back(std::move(counts));
  }
  return sources;
}

}  // namespace halcyon::pipeline
