// Which GPU each rank of a gang takes. Pure.
#ifndef HALCYON_WORKER_GPU_ASSIGNMENT_H_
#define HALCYON_WORKER_GPU_ASSIGNMENT_H_

#include <string>
#include <vector>

#include "base/status.h"

namespace halcyon::worker {

// What a rank sees.
struct RankGpus {
  std::string host;
  std::vector<std::string> ids;  // GpuPlugin::DeviceIds
  std::string missing;           // why there are none

  // For AllGatherBytes.
  std::string Serialise() const;
  static absl::StatusOr<RankGpus> Parse(const std::string& bytes);
};

// For each rank its GPU, as an index into its ids: in the order of ranks, the first that no rank
// before it on the same host has taken. So ranks that all see the GPUs of their host share them
// out, and ranks that a launcher has given one each keep it.
// kUnavailable: a rank is left without one; says what is missing, or counts ranks and GPUs of its
// host.
absl::StatusOr<std::vector<int>> AssignGpus(const std::vector<RankGpus>& ranks);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_GPU_ASSIGNMENT_H_
