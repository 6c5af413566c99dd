#include "worker/fsdp/shard_plan.h"

namespace halcyon::worker {

using cluster::Group;

absl::StatusOr<ShardPlan> PlanShards(jobs::Sharding sharding,
                                     const cluster::Collectives& collectives) {
  ShardPlan plan;
  switch (sharding) {
    case jobs::Sharding::kFull:
    case jobs::Sharding::kGradient:
      plan.shards = collectives.size();
      plan.shard = collectives.rank();
      return plan;
    case jobs::Sharding::kNone:
      plan.replicas = collectives.size();
      plan.replica = collectives.rank();
      return plan;
    case jobs::Sharding::kHybrid:
      break;
  }
  if (collectives.size_of(Group::kAcrossNodes) == 0) {
    return InvalidArgument(
        "launch.sharding = \"hybrid\" needs the same number of ranks on every node, but " +
        std::to_string(collectives.size()) +
        " ranks are spread unevenly; choose launch.ranks as a multiple of the nodes, or \"full\"");
  }
  plan.shard_group = Group::kNode;
  plan.shards = collectives.size_of(Group::kNode);
  plan.shard = collectives.rank_in(Group::kNode);
  plan.replica_group = Group::kAcrossNodes;
  plan.replicas = collectives.size_of(Group::kAcrossNodes);
  plan.replica = collectives.rank_in(Group::kAcrossNodes);
  return plan;
}

}  // namespace halcyon::worker
