// How the ranks of a gang divide a unit's flat array.
//
// A unit's array, padded to a multiple of the world size, is cut into as many shards as a shard
// group has ranks. A rank keeps one shard; the ranks of its replica group keep the same one. A
// shard is cut once more into as many slices as a replica group has ranks: a rank's slice is what
// it alone counts in the gradient's norm and writes into a checkpoint. Slices number the array from
// its beginning: slice i of `world size`.
#ifndef HALCYON_WORKER_FSDP_SHARD_PLAN_H_
#define HALCYON_WORKER_FSDP_SHARD_PLAN_H_

#include <cstdint>

#include "base/status.h"
#include "cluster/collectives.h"
#include "jobs/job_spec.h"

namespace halcyon::worker {

struct ShardPlan {
  // A group of one rank takes part in no collective; its name is then without meaning.
  cluster::Group shard_group = cluster::Group::kAll;
  cluster::Group replica_group = cluster::Group::kAll;
  int shards = 1, shard = 0;      // size of the shard group, place in it
  int replicas = 1, replica = 0;  // of the replica group

  int world() const { return shards * replicas; }
  int slice() const { return shard * replicas + replica; }
  // Elements of a flat array of `numel` parameters, with the padding at its end.
  int64_t Padded(int64_t numel) const { return (numel + world() - 1) / world() * world(); }
};

// full, gradient: shards over all ranks. none: every rank has everything. hybrid: shards within a
// node, replicas across nodes; kInvalidArgument when nodes differ in their number of ranks.
absl::StatusOr<ShardPlan> PlanShards(jobs::Sharding sharding,
                                     const cluster::Collectives& collectives);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_FSDP_SHARD_PLAN_H_
