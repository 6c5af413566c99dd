// Taking a job over: one coordinator at a time (storage/lease.h), after the processes of the
// earlier one have ended.
#ifndef HALCYON_COORDINATOR_PROCESSES_RECOVERY_H_
#define HALCYON_COORDINATOR_PROCESSES_RECOVERY_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/env.h"
#include "base/ids.h"
#include "base/status.h"
#include "coordinator/processes/earlier_agents.h"
#include "coordinator/processes/earlier_gangs.h"
#include "storage/home.h"
#include "storage/job_journal.h"
#include "storage/lease.h"

namespace halcyon::coordinator {

// How long killed processes of an earlier incarnation may take to be gone.
inline constexpr int64_t kOldWorkersMsMax = 15000;

// The process that runs the job, as far as one look tells: one on another machine counts until its
// lease is given up or taken over. nullopt: none.
std::optional<storage::LeaseHolder> OwnerOf(Env& env, const storage::HomeLayout& home,
                                            const std::string& job_id);
// The same, known for sure: looks at one on another machine until its lease's beat changes, 2 s as
// a rule, or has stood still for 20 s, which means that it is dead.
std::optional<storage::LeaseHolder> LivingOwnerOf(Env& env, Clock& clock,
                                                  const storage::HomeLayout& home,
                                                  const std::string& job_id);

// A job that this process has taken.
struct OwnedJob {
  std::shared_ptr<storage::Lease> lease;
  // The earlier coordinator, which is dead or has ended; nullopt: there was none.
  std::optional<storage::LeaseHolder> before;
  Incarnation incarnation() const { return Incarnation(lease->number()); }
};

// One try; nullopt while another process runs the job. `seeker` is of home.Owner(job_id) and is
// kept between tries.
absl::StatusOr<std::optional<OwnedJob>> TryOwnJob(Env& env, const storage::HomeLayout& home,
                                                  const std::string& job_id,
                                                  storage::LeaseSeeker& seeker);
// Waits for the job. While another process runs it, `notify` is called with its name, again every
// few seconds.
absl::StatusOr<OwnedJob> OwnJob(Env& env, const storage::HomeLayout& home,
                                const std::string& job_id, Clock& clock,
                                const std::function<void(const std::string&)>& notify);

// Workers of an earlier coordinator that go on, since they may be adopted.
struct SparedWorkers {
  EarlierGangs gangs;
  EarlierAgents agents;

  bool empty() const { return gangs.empty() && agents.empty(); }
  bool Contains(const std::string& process) const {
    return IsOfGangs(process, gangs) || agents.contains(process);
  }
};

// Ends what an earlier coordinator of the job has started: raises the alive file to `incarnation`,
// kills the processes of this machine that the journal names, and waits until no worker holds the
// alive file; those in `spared` go on. kFailedPrecondition names the processes that stay.
// Workers on other machines end by themselves: what they still write is refused by its fence.
// REQUIRES: the job is owned.
absl::Status EndOldWorkers(Env& env, Clock& clock, const storage::HomeLayout& home,
                           const std::string& job_id, Incarnation incarnation,
                           const storage::JobHistory& history, const SparedWorkers& spared = {});

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_PROCESSES_RECOVERY_H_
