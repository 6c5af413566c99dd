#include "jobs/mixture.h"

namespace halcyon::jobs {

std::vector<double> SharesOf(const DataSpec& data) {
  if (data.source.size() < 2) return {};
  double sum = 0;
  for (const SourceSpec& source : data.source) sum += source.weight;
  std::vector<double> shares;
  for (const SourceSpec& source : data.source) shares.push_back(source.weight / sum);
  return shares;
}

}  // namespace halcyon::jobs
