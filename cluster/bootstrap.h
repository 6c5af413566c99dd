// How ranks that cannot yet talk over their fast network find each other: small values under names,
// put by one rank and read by the others.
#ifndef HALCYON_CLUSTER_BOOTSTRAP_H_
#define HALCYON_CLUSTER_BOOTSTRAP_H_

#include <map>
#include <string>
#include <string_view>

#include "base/status.h"
#include "cluster/collectives.h"

namespace halcyon::cluster {

// Every rank calls Barrier equally often. What was put before a barrier can be read by all ranks
// after it. Used from one thread.
// Implementations: below, and over LibTorch's store (worker/training/tcp_store_bootstrap.h).
class Bootstrap {
 public:
  virtual ~Bootstrap() = default;
  // A name is put by one rank, once.
  virtual absl::Status Put(std::string_view name, std::string_view value) = 0;
  // kNotFound when no rank had put it before the last barrier.
  virtual absl::StatusOr<std::string> Get(std::string_view name) = 0;
  virtual absl::Status Barrier() = 0;
};

// Over collectives that exist already, MPI's for instance. Barrier is one AllGatherBytes.
class CollectivesBootstrap final : public Bootstrap {
 public:
  // REQUIRES: `collectives` outlives this.
  explicit CollectivesBootstrap(Collectives* collectives) : collectives_(collectives) {}
  absl::Status Put(std::string_view name, std::string_view value) override;
  absl::StatusOr<std::string> Get(std::string_view name) override;
  absl::Status Barrier() override;

 private:
  Collectives* const collectives_;
  std::string put_;  // since the last barrier, as the others read it
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_BOOTSTRAP_H_
