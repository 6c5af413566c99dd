// Copies of the caches that a gang reads, on a disk of each of its hosts (storage/copies/).
#ifndef HALCYON_WORKER_INPUTS_CACHE_COPIES_H_
#define HALCYON_WORKER_INPUTS_CACHE_COPIES_H_

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cluster/collectives.h"
#include "cluster/work_progress.h"
#include "storage/copies/host_copy.h"
#include "worker/inputs/artifacts.h"

namespace halcyon::worker {

// The ranks that copy together.
struct CopyingGang {
  cluster::Collectives* collectives;
  cluster::WorkProgress* progress;
  std::function<bool()> stop_requested;
};

// Collective: puts copies of the caches among `inputs` into inputs->copies, one a host. While some
// rank copies, the ranks meet once a second: so those that have their copies wait for it however
// long it takes, and when one was told to stop, all give up copying, and the training that follows
// agrees on the stop. A cache that cannot be copied is read where it lies, and the host's first
// rank returns why, a sentence each. `options` as of storage::TakeCopy, but for `advanced` and
// `stops`. An error is one of the gang.
absl::StatusOr<std::vector<std::string>> CopyCaches(const CopyingGang& gang,
                                                    storage::CopyOptions options,
                                                    ArtifactInputs* inputs);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_INPUTS_CACHE_COPIES_H_
