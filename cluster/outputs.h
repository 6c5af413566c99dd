// Where a worker puts what it makes. The coordinator and the worker derive the same path from the
// assignment or the lease, so no path travels in a message, and two holders of one piece of work
// (a rank of an earlier launch, an agent whose lease was taken back) never write the same file.
#ifndef HALCYON_CLUSTER_OUTPUTS_H_
#define HALCYON_CLUSTER_OUTPUTS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "cluster/messages.h"

namespace halcyon::cluster {

// The folder of a stage's unfinished cache, in its work folder.
inline constexpr std::string_view kBuildingFolder = "building";

// That of a gang's checkpoints, likewise.
inline constexpr std::string_view kCheckpointsFolder = "checkpoints";
std::string CheckpointsDir(const std::string& work_dir);

// All names below start with it: what has another name in a work folder is no worker's output.
inline constexpr std::string_view kOutputPrefix = "out-";

// The artifact folder that rank 0 of a launch makes: WORK/out-3-launch-1.
std::string GangOutputDir(const StageAssignment& assignment);
// The artifact folder that the holder of a lease makes: WORK/out-fence-17.
std::string TaskOutputDir(const StageAssignment& assignment, uint64_t fence);
// The folder of the stage's unfinished cache: WORK/building.
std::string BuildingDir(const StageAssignment& assignment);
// The SST file that the holder of a lease makes of a shard: WORK/building/out-fence-17-shard-3.sst,
// where it stays when it is taken in.
std::string ShardOutputPath(const StageAssignment& assignment, uint64_t fence, uint32_t shard);
// Whether the holder of a lease makes something of that name, whole or not.
bool IsOutputOfLease(std::string_view name, uint64_t fence);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_OUTPUTS_H_
