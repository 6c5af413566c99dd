#include "cluster/outputs.h"

#include "base/env.h"

namespace halcyon::cluster {
namespace {

std::string NameOfLease(uint64_t fence) {
  return std::string(kOutputPrefix) + "fence-" + std::to_string(fence);
}

}  // namespace

std::string GangOutputDir(const StageAssignment& assignment) {
  return JoinPath(assignment.work_dir, std::string(kOutputPrefix) +
                                           std::to_string(assignment.claim) + "-launch-" +
                                           std::to_string(assignment.launch));
}

std::string TaskOutputDir(const StageAssignment& assignment, uint64_t fence) {
  return JoinPath(assignment.work_dir, NameOfLease(fence));
}

std::string BuildingDir(const StageAssignment& assignment) {
  return JoinPath(assignment.work_dir, kBuildingFolder);
}

std::string CheckpointsDir(const std::string& work_dir) {
  return JoinPath(work_dir, std::string(kCheckpointsFolder));
}

std::string ShardOutputPath(const StageAssignment& assignment, uint64_t fence, uint32_t shard) {
  return JoinPath(BuildingDir(assignment),
                  NameOfLease(fence) + "-shard-" + std::to_string(shard) + ".sst");
}

bool IsOutputOfLease(std::string_view name, uint64_t fence) {
  const std::string of_lease = NameOfLease(fence);
  return name == of_lease || name.starts_with(of_lease + "-");
}

}  // namespace halcyon::cluster
