// How a worker process joins its job and notices that it no longer belongs to it.
#ifndef HALCYON_WORKER_MEMBERSHIP_H_
#define HALCYON_WORKER_MEMBERSHIP_H_

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "cluster/coordinator_link.h"
#include "storage/home.h"

namespace halcyon::worker {

// What the coordinator put on the worker's command line.
struct WorkerOptions {
  std::string contact_file;  // how to reach the coordinator (cluster/contact.h)
  std::string job;
  std::string name;  // "agent-0", "model-rank-1"
  uint64_t worker_incarnation = 0;
  uint64_t incarnation = 0;    // of the coordinator that started it
  int64_t orphan_grace_s = 0;  // how long it goes on without a coordinator
  std::string alive_file;
  std::string log_path;
};

// Holds the job's alive file (shared) and the connection to the coordinator, for the life of the
// process. A new coordinator writes its incarnation into the alive file and then waits for every
// holder to end, so a worker of an old one can neither start late nor go on unnoticed. Where the
// file system has no locks, fences alone keep it from doing harm.
class Membership {
 public:
  // kAborted: this worker belongs to an older incarnation. When the coordinator has stopped sending
  // and the grace has passed, the process ends at once with ExitCode::kPreempted.
  static absl::StatusOr<std::unique_ptr<Membership>> Join(const WorkerOptions& options);
  cluster::CoordinatorLink& link() { return *link_; }

 private:
  Membership() = default;
  std::unique_ptr<storage::FileLock> alive_;
  std::unique_ptr<cluster::CoordinatorLink> link_;
};

// The first message of a worker, with what proves which process it is.
cluster::Hello HelloOf(const std::string& role, uint32_t rank);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_MEMBERSHIP_H_
