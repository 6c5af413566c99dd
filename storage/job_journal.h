// The journal of a job: what must outlive its coordinator. One file an incarnation,
// jobs/JOB/journal/00000007 (storage/record_log.h). docs/state_folder.md defines the records. Every
// write is on the disk when it returns.
#ifndef HALCYON_STORAGE_JOB_JOURNAL_H_
#define HALCYON_STORAGE_JOB_JOURNAL_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "storage/job_record.h"
#include "storage/record_log.h"

namespace halcyon::storage {

// Not thread-safe. REQUIRES: one at a time for a job (storage/lease.h); a second one has another
// incarnation, and so another file.
class JobJournal {
 public:
  // Begins the file of `incarnation`. When the file before is damaged it is set aside, named in
  // `notes`, and the journal goes on from what could be read of it: caches, checkpoints and
  // artifacts say themselves what is done.
  static absl::StatusOr<std::unique_ptr<JobJournal>> Begin(Env& env, const std::string& dir,
                                                           uint64_t incarnation,
                                                           std::vector<std::string>* notes);

  const JobHistory& history() const { return history_; }
  absl::Status PutJob(const JobRecord& job);
  absl::Status PutProcess(const std::string& name, const LocatedProcess& process);
  absl::Status PutGang(const std::string& stage, const nlohmann::json& gang);
  absl::Status PutAgent(const std::string& name, const nlohmann::json& agent);
  // The processes, gangs and agents of earlier incarnations have ended.
  absl::Status ForgetProcesses();

 private:
  JobJournal(Env& env, const std::string& dir, uint64_t incarnation)
      : log_(env, dir, incarnation) {}
  absl::Status Append(const nlohmann::json& record);

  JobHistory history_;
  // Closed after a write has failed: a part of it may be in the file, so that the next begins the
  // file again.
  RecordLog log_;
};

// The newest file's history; writes nothing. kNotFound when there is none; kDataLoss names the
// file.
absl::StatusOr<JobHistory> ReadJobHistory(Env& env, const std::string& dir);

// What the text of a journal's file says. kDataLoss names the line.
absl::StatusOr<JobHistory> ParseJournal(std::string_view text);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_JOB_JOURNAL_H_
