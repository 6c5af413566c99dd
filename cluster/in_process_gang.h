// A gang whose ranks are threads of this process; for tests and benchmarks.
#ifndef HALCYON_CLUSTER_IN_PROCESS_GANG_H_
#define HALCYON_CLUSTER_IN_PROCESS_GANG_H_

#include <functional>

#include "cluster/collective_queue.h"
#include "cluster/collectives.h"

namespace halcyon::cluster {

// Runs `rank_main` on `ranks` threads with collectives among them. Ranks lie on nodes of
// `ranks_per_node` (0: all on one), the last of which may have fewer. When a rank returns or
// throws, the collectives that others wait in for it give kUnavailable. Ends when all ranks have;
// an exception of theirs is thrown again here.
void RunInProcessGang(int ranks, const std::function<void(Collectives&)>& rank_main,
                      int ranks_per_node = 0, const QueueOptions& options = {});

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_IN_PROCESS_GANG_H_
