#include "worker/membership.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <utility>

#include "base/env.h"
#include "base/exit_code.h"
#include "base/logging.h"
#include "cluster/process.h"

namespace halcyon::worker {

absl::StatusOr<std::unique_ptr<Membership>> Membership::Join(const WorkerOptions& options) {
  if (options.orphan_grace_s == 0) cluster::DieWithParent();
  std::unique_ptr<Membership> membership(new Membership);
  auto alive = storage::FileLock::TryAcquire(options.alive_file, storage::FileLock::Mode::kShared);
  if (!alive.ok()) {
    spdlog::warn("goes on without a lock: {}", MessageOf(alive.status()));
  } else if (*alive == nullptr) {
    return Aborted("a newer coordinator is taking over " + options.alive_file);
  } else {
    membership->alive_ = *std::move(alive);
  }
  ASSIGN_OR_RETURN(const std::string current, Env::Posix()->ReadFile(options.alive_file));
  if (current != std::to_string(options.incarnation)) {
    return Aborted("this worker belongs to coordinator incarnation " +
                   std::to_string(options.incarnation) + ", the job is at " + current);
  }
  cluster::CoordinatorLink::Options link_options{
      .identity = {JobId(options.job), WorkerId{options.name, options.worker_incarnation},
                   Incarnation(options.incarnation)},
      .orphan_grace_ms = 1000 * options.orphan_grace_s,
      .on_lost = [] {
        spdlog::error("this process belongs to no coordinator any more; ending");
        FlushLog(kFlushLogMs);
        // Without returning: other threads may be in a collective that never ends.
        _exit(static_cast<int>(ExitCode::kPreempted));
      }};
  ASSIGN_OR_RETURN(membership->link_,
                   cluster::CoordinatorLink::Start(options.contact_file, std::move(link_options)));
  return membership;
}

cluster::Hello HelloOf(const std::string& role, uint32_t rank) {
  const auto self = cluster::IdentityOfProcess(getpid());
  cluster::Hello hello{role, "", rank, getpid(), self ? self->start_time : 0, cluster::BootId()};
  hello.host = HostName();
  return hello;
}

}  // namespace halcyon::worker
