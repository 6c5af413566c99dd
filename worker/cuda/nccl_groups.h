// NCCL's communicators of a rank, one for each group of ranks.
#ifndef HALCYON_WORKER_CUDA_NCCL_GROUPS_H_
#define HALCYON_WORKER_CUDA_NCCL_GROUPS_H_

#include <memory>
#include <string>

#include "base/mutex.h"
#include "base/status.h"
#include "cluster/collectives.h"

struct ncclComm;

namespace halcyon::worker {

class NcclGroups {
 public:
  // Every rank calls it, with its device as the current one. The ranks exchange NCCL's id by way of
  // `host`.
  static absl::StatusOr<std::unique_ptr<NcclGroups>> Make(cluster::Collectives* host);
  // Waits for what runs on the communicators, unless they were aborted.
  ~NcclGroups();
  NcclGroups(const NcclGroups&) = delete;
  NcclGroups& operator=(const NcclGroups&) = delete;

  // Any thread. kAborted after Abort. REQUIRES: the group exists.
  absl::StatusOr<ncclComm*> Of(cluster::Group group) const;
  // Any thread but not beside Abort. What NCCL has found wrong with a communicator since it was
  // made; OK while nothing is.
  absl::Status Fault() const;
  // Ends the kernels that are under way, and NCCL's functions that other threads are in, whose
  // communicators are gone afterwards. What the kernels have written is of no use.
  void Abort();

 private:
  NcclGroups() = default;
  absl::Status MakeAll(cluster::Collectives* host);
  absl::Status Split(cluster::Collectives* host, cluster::Group group);

  mutable Mutex mutex_;
  // Null where the group is all ranks or does not exist.
  ncclComm* communicators_[3] = {};  // written by Make only
  bool aborted_ ABSL_GUARDED_BY(mutex_) = false;
};

// `what`: NCCL's words for the result, and for what it knows of the cause.
absl::Status NcclStatus(int result, ncclComm* communicator, const std::string& what);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_CUDA_NCCL_GROUPS_H_
