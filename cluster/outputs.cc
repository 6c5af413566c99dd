#include "cluster/outputs.h"

#include "base/env.h"

namespace halcyon::cluster {
namespace {

std::string InWork(const StageAssignment& assignment, const std::string& name) {
  return JoinPath(assignment.work_dir, std::string(kOutputPrefix) + name);
}

}  // namespace

std::string GangOutputDir(const StageAssignment& assignment) {
  return InWork(assignment,
                std::to_string(assignment.claim) + "-launch-" + std::to_string(assignment.launch));
}

std::string TaskOutputDir(const StageAssignment& assignment, uint64_t fence) {
  return InWork(assignment, "fence-" + std::to_string(fence));
}

std::string ShardOutputPath(const StageAssignment& assignment, uint64_t fence, uint32_t shard) {
  return InWork(assignment,
                "fence-" + std::to_string(fence) + "-shard-" + std::to_string(shard) + ".sst");
}

}  // namespace halcyon::cluster
