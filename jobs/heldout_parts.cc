#include "jobs/heldout_parts.h"

namespace halcyon::jobs {

std::vector<HeldoutPart> HeldoutPartsOf(const DataSpec& data) {
  std::vector<HeldoutPart> parts;
  if (data.source.empty()) parts.push_back({"sources", data.sources.size()});
  for (const SourceSpec& source : data.source) parts.push_back({source.name, source.paths.size()});
  if (!data.heldout_sources.empty()) {
    parts.push_back({kHeldoutSources, data.heldout_sources.size()});
  }
  if (parts.size() == 1) parts.clear();
  return parts;
}

}  // namespace halcyon::jobs
