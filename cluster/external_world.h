// A world of ranks that something else has started (torchrun, a Kubernetes operator): what it says
// in the environment of each. Source of the names:
// https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables.
#ifndef HALCYON_CLUSTER_EXTERNAL_WORLD_H_
#define HALCYON_CLUSTER_EXTERNAL_WORLD_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/status.h"

namespace halcyon::cluster {

struct ExternalWorld {
  int rank = 0, local_rank = 0, size = 1;  // RANK, LOCAL_RANK, WORLD_SIZE
  std::string master_address;              // MASTER_ADDR: a name or a number
  uint16_t master_port = 0;                // MASTER_PORT
  // torchrun serves a c10d::TCPStore there (TORCHELASTIC_USE_AGENT_STORE); else rank 0 does.
  bool has_store = false;
  bool operator==(const ExternalWorld&) const = default;
};

using Variables = std::function<std::optional<std::string>(const std::string&)>;

// kInvalidArgument names the variable that is missing, is no number, or contradicts another one.
absl::StatusOr<ExternalWorld> ExternalWorldOf(const Variables& variables);
// Of this process's environment.
absl::StatusOr<ExternalWorld> ExternalWorldOfThisProcess();

// Set in the environment of a rank of such a world: the name of its launch, unlike that of any
// other. Absent: the rank belongs to MPI.
inline constexpr char kExternalLaunchVariable[] = "HALCYON_EXTERNAL_LAUNCH";

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_EXTERNAL_WORLD_H_
