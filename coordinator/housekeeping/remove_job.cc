#include "coordinator/housekeeping/remove_job.h"

#include <unistd.h>

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "coordinator/housekeeping/orphans.h"
#include "coordinator/processes/recovery.h"
#include "storage/sharing.h"

namespace halcyon::coordinator {
namespace {

absl::Status CheckNoWorkerRuns(Env& env, const storage::HomeLayout& home,
                               const std::string& job_id) {
  ASSIGN_OR_RETURN(const bool has_workers, HasWorkers(env, home, job_id));
  if (!has_workers) return absl::OkStatus();
  return InvalidArgument("ranks or agents of job " + job_id + " still run; `halcyon cancel " +
                         job_id + "` ends them");
}

}  // namespace

absl::StatusOr<std::shared_ptr<storage::Lease>> TakeJob(Env& env, Clock& clock,
                                                        const storage::HomeLayout& home,
                                                        const std::string& job_id) {
  // Root may: somebody must be able to remove what a user has left who is gone.
  if (geteuid() != 0) RETURN_IF_ERROR(storage::CheckIsOwnJob(home, job_id, "remove"));
  storage::LeaseSeeker seeker(env, clock, home.Owner(job_id),
                              storage::ThisProcess("removal of job " + job_id));
  ASSIGN_OR_RETURN(std::optional<OwnedJob> owned, TryOwnJob(env, home, job_id, seeker));
  if (owned) return owned->lease;
  return InvalidArgument(seeker.holder().ToString() + " is running; stop it first");
}

absl::StatusOr<std::string> ResolveJob(Env& env, const storage::HomeLayout& home,
                                       const std::string& id_or_name) {
  ASSIGN_OR_RETURN(const auto jobs, UseOfAllJobs(env, home));
  ASSIGN_OR_RETURN(const std::vector<std::string> folders, JobFolders(env, home));
  std::set<std::string> ids(folders.begin(), folders.end());
  for (const auto& [id, used] : jobs) ids.insert(id);
  if (ids.contains(id_or_name)) return id_or_name;
  std::vector<std::string> named;
  for (const std::string& id : ids) {
    if (id.substr(0, id.rfind('-')) == id_or_name) named.push_back(id);
  }
  if (named.size() == 1) return named[0];
  if (named.empty()) {
    return NotFound("no job " + id_or_name + " in " + home.root + "; `halcyon list` shows them");
  }
  std::string text = "several jobs have the name " + id_or_name + ": ";
  for (const std::string& id : named) text += id + (id == named.back() ? "" : ", ");
  return InvalidArgument(text + "; give one of these");
}

absl::StatusOr<RemovalPlan> PlanRemoval(Env& env, const storage::HomeLayout& home,
                                        const std::string& job_id) {
  RETURN_IF_ERROR(CheckNoWorkerRuns(env, home, job_id));
  ASSIGN_OR_RETURN(const HomeContents contents, ReadHomeContents(env, home));
  RemovalPlan plan;
  plan.who = "removal of job " + job_id;
  DiskUsage usage;
  PlanStages(env, home, contents, PartsOf(job_id, contents), &usage, &plan);
  // The job's own folder comes last: until then it says what is its own, so that the command may be
  // repeated.
  if (RemovedPath folder; env.Exists(home.Job(job_id))) {
    folder.path = home.Job(job_id);
    folder.bytes = usage.Add(folder.path);
    plan.removed.push_back(std::move(folder));
  }
  plan.bytes_freed = usage.BytesFreed();
  return plan;
}

}  // namespace halcyon::coordinator
