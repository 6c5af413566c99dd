// The bootstrap of ranks that something else has started: over LibTorch's key-value store, which
// torchrun serves at MASTER_ADDR:MASTER_PORT, or else rank 0 does for as long as its bootstrap
// lives. The store knows no keys of ours: whoever reaches its port may read and change it. So what
// is put there is no secret, and what is read there is proved otherwise (cluster/peer_mesh.h).
#ifndef HALCYON_WORKER_TRAINING_TCP_STORE_BOOTSTRAP_H_
#define HALCYON_WORKER_TRAINING_TCP_STORE_BOOTSTRAP_H_

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "cluster/bootstrap.h"
#include "cluster/external_world.h"

namespace halcyon::worker {

// For all ranks to come to a barrier, the connection to the store included. Below what the
// coordinator gives a gang to come up.
inline constexpr int64_t kBootstrapMsMax = 100'000;

// `launch`: unlike that of any other launch which may use the store. kUnavailable: the store cannot
// be reached or served, or the ranks that are named have not come. A name that was put twice with
// different values gives kAlreadyExists at one of those that put it.
absl::StatusOr<std::unique_ptr<cluster::Bootstrap>> MakeTcpStoreBootstrap(
    const cluster::ExternalWorld& world, const std::string& launch,
    int64_t timeout_ms = kBootstrapMsMax);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_TCP_STORE_BOOTSTRAP_H_
