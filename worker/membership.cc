#include "worker/membership.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "base/env.h"
#include "base/exit_code.h"
#include "base/logging.h"
#include "cluster/process.h"

namespace halcyon::worker {

absl::StatusOr<std::unique_ptr<Membership>> Membership::Join(const WorkerOptions& options) {
  cluster::DieWithParent();
  std::unique_ptr<Membership> membership(new Membership);
  ASSIGN_OR_RETURN(membership->alive_, storage::FileLock::TryAcquire(
                                           options.alive_file, storage::FileLock::Mode::kShared));
  if (membership->alive_ == nullptr) {
    return Aborted("a newer coordinator is taking over " + options.alive_file);
  }
  ASSIGN_OR_RETURN(const std::string current, Env::Posix()->ReadFile(options.alive_file));
  if (current != std::to_string(options.incarnation)) {
    return Aborted("this worker belongs to coordinator incarnation " +
                   std::to_string(options.incarnation) + ", the job is at " + current);
  }
  const cluster::CoordinatorLink::Identity identity{
      JobId(options.job), WorkerId{options.name, options.worker_incarnation},
      Incarnation(options.incarnation)};
  ASSIGN_OR_RETURN(membership->link_,
                   cluster::CoordinatorLink::Start(options.endpoint, identity, [] {
                     spdlog::error("no message from the coordinator; ending");
                     FlushLog(kFlushLogMs);
                     // Without returning: other threads may be in a collective that never ends.
                     _exit(static_cast<int>(ExitCode::kPreempted));
                   }));
  return membership;
}

cluster::Hello HelloOf(const std::string& role, uint32_t rank) {
  const auto self = cluster::IdentityOfProcess(getpid());
  cluster::Hello hello{role, "", rank, getpid(), self ? self->start_time : 0, cluster::BootId()};
  hello.host = HostName();
  return hello;
}

}  // namespace halcyon::worker
