// How a running job takes over what agents do under leases of an earlier coordinator.
#include <algorithm>
#include <functional>
#include <map>

#include "coordinator/run/job_run.h"
#include "coordinator/run/task_fence.h"

namespace halcyon::coordinator {

void JobRun::AdoptLeases(NodeId id, const StageTasks& tasks) {
  Stage& one = stage(id);
  // Of those of one task the latest: the earlier coordinator had taken the others back.
  std::map<std::string, StatedLease, std::less<>> wanted;
  for (const StatedLease& lease : agents_.StatedLeases()) {
    const bool is_of_stage = lease.fingerprint == one.fingerprint;
    if (!is_of_stage || lease.has_failed || ClaimOf(lease.fence) >= one.claim) continue;
    StatedLease& latest = wanted[lease.task];
    if (latest.fence < lease.fence) latest = lease;
  }
  if (wanted.empty()) return;
  for (size_t task = 0; task < tasks.size(); ++task) {
    const auto lease = wanted.find(tasks.name(task));
    if (lease == wanted.end()) continue;
    const Grant adopted{id, task, lease->first, lease->second.worker, lease->second.fence};
    if (!scheduler_.Adopt(adopted)) continue;
    one.tasks->OnAdopted(adopted, &effects_);
    Settle(lease->second, /*is_adopted=*/true);
  }
}

void JobRun::VoidLeases() {
  for (const StatedLease& lease : agents_.StatedLeases()) {
    const bool may_come = std::any_of(ids_.begin(), ids_.end(), [&](NodeId id) {
      return MayTakeOver(id, lease) && !NeedsAgentsBefore(id);
    });
    if (!may_come) Settle(lease, /*is_adopted=*/false);
  }
}

// Whether the stage will be prepared, and may turn out to be the lease's.
bool JobRun::MayTakeOver(NodeId id, const StatedLease& lease) const {
  const Stage& one = stage(id);
  // One that waits for another which makes the same takes nothing over: that one would have.
  if (!one.is_wanted || (one.behind && is_active(*one.behind))) return false;
  switch (one.state) {
    case State::kRunning:
    case State::kInstalling:
    case State::kMade:
    case State::kEnded:
      return false;
    default:
      return one.fingerprint.empty() ? jobs::StageName(graph_.node(id).kind) == lease.stage
                                     : one.fingerprint == lease.fingerprint;
  }
}

// Whether tasks must be served before the stage can be prepared. Agents that waited for it might be
// all that there are.
bool JobRun::NeedsAgentsBefore(NodeId id) const {
  const std::vector<NodeId> before = graph_.AncestorsOf(id);
  return std::any_of(before.begin(), before.end(), [&](NodeId input) {
    return !is_gang(input) && stage(input).state == State::kRunning;
  });
}

void JobRun::Settle(const StatedLease& lease, bool is_adopted) {
  if (!is_adopted) {
    Do(effect::LogInfo{"lease " + lease.task + " of " + lease.worker.name + ", fence " +
                       std::to_string(lease.fence.value()) + ", is void"});
  }
  for (const cluster::Message& message : agents_.Settle(lease.worker, is_adopted)) {
    Handle(event::Received{message});
  }
}

}  // namespace halcyon::coordinator
