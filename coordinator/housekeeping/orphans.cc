#include "coordinator/housekeeping/orphans.h"

#include <spdlog/spdlog.h>

#include <optional>
#include <string>
#include <vector>

#include "coordinator/processes/recovery.h"
#include "storage/job_journal.h"

namespace halcyon::coordinator {

absl::StatusOr<bool> HasWorkers(Env& env, const storage::HomeLayout& home,
                                const std::string& job_id) {
  const std::string alive = home.AliveFile(job_id);
  if (!env.Exists(alive)) return false;
  ASSIGN_OR_RETURN(const auto lock,
                   storage::FileLock::TryAcquire(alive, storage::FileLock::Mode::kExclusive));
  return lock == nullptr;
}

absl::Status EndOrphans(Env& env, Clock& clock, const storage::HomeLayout& home,
                        const std::string& job_id) {
  storage::LeaseSeeker seeker(env, clock, home.Owner(job_id),
                              storage::ThisProcess("cancel of job " + job_id));
  ASSIGN_OR_RETURN(const std::optional<OwnedJob> owned, TryOwnJob(env, home, job_id, seeker));
  if (!owned) return InvalidArgument(seeker.holder().ToString() + " is running; try again");
  std::vector<std::string> notes;
  ASSIGN_OR_RETURN(
      const auto journal,
      storage::JobJournal::Begin(env, home.Journal(job_id), owned->incarnation().value(), &notes));
  for (const std::string& note : notes) spdlog::warn("{}", note);
  RETURN_IF_ERROR(
      EndOldWorkers(env, clock, home, job_id, owned->incarnation(), journal->history()));
  return journal->ForgetProcesses();
}

}  // namespace halcyon::coordinator
