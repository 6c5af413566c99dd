#include "worker/training/rank_collectives.h"

#include <cstdlib>
#include <string>

#include "base/env.h"
#include "base/process_identity.h"
#include "cluster/curve_keys.h"
#include "cluster/external_world.h"
#include "cluster/launcher.h"
#include "cluster/mpi_collectives.h"
#include "cluster/peer_collectives.h"
#include "cluster/process.h"
#include "worker/training/tcp_store_bootstrap.h"

namespace halcyon::worker {
namespace {

// Containers of one machine are nodes of their own: each has its own GPUs.
std::string NodeOfThisProcess() { return HostName() + "/" + BootId() + "/" + PidNamespace(); }

absl::StatusOr<std::unique_ptr<cluster::Collectives>> MakeExternalCollectives(
    const WorkerOptions& options, const std::string& launch, const cluster::QueueOptions& queue) {
  // Its member ends it; should that be killed, nobody else would.
  cluster::DieWithParent();
  ASSIGN_OR_RETURN(const cluster::ExternalWorld world, cluster::ExternalWorldOfThisProcess());
  const std::string keys_path = cluster::CurveFile(DirName(options.contact_file));
  ASSIGN_OR_RETURN(const cluster::CurveKeys keys, cluster::ReadCurveKeys(keys_path));
  return cluster::MakePeerCollectives([=] { return MakeTcpStoreBootstrap(world, launch); },
                                      {.rank = world.rank,
                                       .size = world.size,
                                       .keys = keys.worker,
                                       .master_address = world.master_address,
                                       .node = NodeOfThisProcess(),
                                       .queue = queue});
}

}  // namespace

absl::StatusOr<std::unique_ptr<cluster::Collectives>> MakeRankCollectives(
    const WorkerOptions& options, const cluster::QueueOptions& queue) {
  const char* launch = std::getenv(cluster::kExternalLaunchVariable);
  if (launch != nullptr && *launch != 0) return MakeExternalCollectives(options, launch, queue);
  return cluster::MakeMpiCollectives({.queue = queue});
}

}  // namespace halcyon::worker
