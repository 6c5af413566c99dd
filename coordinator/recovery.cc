#include "coordinator/recovery.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "coordinator/job_status.h"
#include "coordinator/process_registry.h"
#include "coordinator/start_over.h"
#include "storage/checkpoint.h"

namespace halcyon::coordinator {
namespace {

using storage::FileLock;

constexpr int64_t kLockPollMs = 100;
// Shorter waits are those for a command that only looks; they are not reported.
constexpr int64_t kFirstNoticeMs = 500;
constexpr int64_t kNextNoticeMs = 10000;
constexpr int64_t kEndPollMs = 20;
constexpr uint64_t kIncarnationMax = uint64_t{1} << 53;

HomeOwner ReadOwner(const storage::HomeLayout& home) {
  HomeOwner owner;
  const auto text = Env::Posix()->ReadFile(home.Lock());
  if (!text.ok()) return owner;
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return owner;
  const auto job = json.find("job"), pid = json.find("pid");
  if (job != json.end() && job->is_string()) owner.job = job->get<std::string>();
  if (pid != json.end() && pid->is_number_integer()) owner.pid = pid->get<int64_t>();
  return owner;
}

std::string HolderOf(const storage::HomeLayout& home) {
  const HomeOwner owner = ReadOwner(home);
  if (owner.job.empty()) return "another process";
  return "job " + owner.job + " (pid " + std::to_string(owner.pid) + ")";
}

std::string OwnerText(const std::string& job_id, Clock& clock) {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return nlohmann::json{
             {"pid", getpid()}, {"host", host}, {"job", job_id}, {"since", clock.WallMs()}}
             .dump() +
         "\n";
}

// In place: a rename would give the file another inode, and with it other locks.
absl::Status WriteAliveFile(Env& env, const std::string& path, Incarnation incarnation) {
  ASSIGN_OR_RETURN(const auto file, env.NewWritableFile(path));
  RETURN_IF_ERROR(file->Append(std::to_string(incarnation.value())));
  RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

std::string AliveAmong(const std::map<std::string, cluster::ProcessIdentity>& processes) {
  std::string names;
  for (const auto& [name, process] : processes) {
    if (!cluster::IsAlive(process)) continue;
    names += (names.empty() ? "" : ", ") + name + " (pid " + std::to_string(process.pid) + ")";
  }
  return names.empty() ? "a worker that is not on record" : names;
}

std::string JobsFolder(const storage::HomeLayout& home) { return DirName(home.Job("any")); }

absl::StatusOr<std::vector<std::string>> FoldersBelow(Env& env, const std::string& dir) {
  if (!env.Exists(dir)) return std::vector<std::string>();
  return env.ListDir(dir);
}

// Raises `highest` to a number found; kFailedPrecondition for one too large for any run:
// counting on from it would overflow.
absl::Status TakeHigher(uint64_t number, const std::string& path, uint64_t* highest) {
  if (number > kIncarnationMax) {
    return FailedPrecondition(path + ": holds the number " + std::to_string(number) +
                              ", which no run can have written; remove the file");
  }
  *highest = std::max(*highest, number);
  return absl::OkStatus();
}

// The highest incarnation that anything in the state folder was written under. Files that hold no
// number are skipped here; the code that needs such a file reports it.
absl::StatusOr<uint64_t> HighestOnDisk(Env& env, const storage::HomeLayout& home) {
  uint64_t highest = 0;
  ASSIGN_OR_RETURN(const std::vector<std::string> job_ids, FoldersBelow(env, JobsFolder(home)));
  for (const std::string& id : job_ids) {
    const auto text = env.ReadFile(home.AliveFile(id));
    uint64_t number = 0;
    if (!text.ok()) continue;
    const auto parsed = std::from_chars(text->data(), text->data() + text->size(), number);
    if (parsed.ec != std::errc()) continue;
    RETURN_IF_ERROR(TakeHigher(number, home.AliveFile(id), &highest));
  }
  const std::string work = DirName(home.Work("any", "any"));
  ASSIGN_OR_RETURN(const std::vector<std::string> stages, FoldersBelow(env, work));
  for (const std::string& stage : stages) {
    const std::string root = JoinPath(JoinPath(work, stage), kCheckpointsFolder);
    const auto fence = storage::CheckpointStore(env, root).ReadFence();
    if (fence.ok())
      RETURN_IF_ERROR(TakeHigher(fence->incarnation, JoinPath(root, "fence"), &highest));
  }
  return highest;
}

// Whether a worker holds the job's alive file, whatever the journal knows of the job.
bool HasLivingWorkers(Env& env, const storage::HomeLayout& home, const std::string& job_id) {
  const std::string path = home.AliveFile(job_id);
  if (!env.Exists(path)) return false;
  const auto lock = FileLock::TryAcquire(path, FileLock::Mode::kExclusive);
  return lock.ok() && *lock == nullptr;
}

absl::Status RecordInterrupted(Env& env, const storage::HomeLayout& home, storage::Journal& journal,
                               const std::string& job_id) {
  const std::string error = "its coordinator ended; run the same command again to go on";
  auto job = journal.GetJob(job_id);
  if (job.ok()) {
    job->state = jobs::JobState::kInterrupted;
    job->error = error;
    RETURN_IF_ERROR(journal.PutJob(*job));
  } else if (!absl::IsNotFound(job.status())) {
    return job.status();
  }
  auto status = ReadJobStatus(env, home, job_id);
  if (!status.ok()) return absl::OkStatus();
  MarkInterrupted(&*status);
  status->error = error;
  return WriteJobStatus(env, home, *status);
}

}  // namespace

std::string ProcessesPath(const storage::HomeLayout& home, const std::string& job_id) {
  return JoinPath(home.Job(job_id), "processes.json");
}

std::optional<HomeOwner> OwnerOf(const storage::HomeLayout& home) {
  if (!Env::Posix()->Exists(home.Lock())) return std::nullopt;
  const auto lock = FileLock::TryAcquire(home.Lock(), FileLock::Mode::kShared);
  const bool is_held = lock.ok() && *lock == nullptr;
  return is_held ? std::optional(ReadOwner(home)) : std::nullopt;
}

absl::StatusOr<std::unique_ptr<FileLock>> TryOwnHome(const storage::HomeLayout& home,
                                                     const std::string& job_id, Clock& clock) {
  ASSIGN_OR_RETURN(auto lock, FileLock::TryAcquire(home.Lock(), FileLock::Mode::kExclusive));
  if (lock != nullptr) RETURN_IF_ERROR(lock->Write(OwnerText(job_id, clock)));
  return lock;
}

absl::StatusOr<std::unique_ptr<FileLock>> OwnHome(
    const storage::HomeLayout& home, const std::string& job_id, Clock& clock,
    const std::function<void(const std::string&)>& notify) {
  int64_t next_notice_ms = clock.MonotonicMs() + kFirstNoticeMs;
  while (true) {
    ASSIGN_OR_RETURN(auto lock, TryOwnHome(home, job_id, clock));
    if (lock != nullptr) return lock;
    if (clock.MonotonicMs() >= next_notice_ms) {
      notify("waiting for " + HolderOf(home) + ", which is using " + home.root);
      next_notice_ms = clock.MonotonicMs() + kNextNoticeMs;
    }
    clock.SleepMs(kLockPollMs);
  }
}

absl::Status EndOldWorkers(Env& env, Clock& clock, const storage::HomeLayout& home,
                           const std::string& job_id, Incarnation incarnation) {
  RETURN_IF_ERROR(env.CreateDirs(home.Job(job_id)));
  const std::string alive_path = home.AliveFile(job_id);
  RETURN_IF_ERROR(WriteAliveFile(env, alive_path, incarnation));
  std::map<std::string, cluster::ProcessIdentity> processes;
  if (auto read = ProcessRegistry::Read(env, ProcessesPath(home, job_id)); read.ok()) {
    processes = *std::move(read);
  } else {
    // The lock below still shows when they have ended by themselves.
    spdlog::warn("{}", MessageOf(read.status()));
  }
  for (const auto& [name, process] : processes) {
    if (!cluster::IsAlive(process)) continue;
    spdlog::warn("killing {} (pid {}) of an earlier run", name, process.pid);
    cluster::KillProcess(process);
  }
  absl::Status failure;
  const bool ended = clock.WaitFor(
      [&] {
        auto lock = FileLock::TryAcquire(alive_path, FileLock::Mode::kExclusive);
        failure = lock.status();
        return !lock.ok() || *lock != nullptr;
      },
      kOldWorkersMsMax, kEndPollMs);
  RETURN_IF_ERROR(failure);
  if (ended) return absl::OkStatus();
  return FailedPrecondition("workers of an earlier run of " + job_id +
                            " do not end: " + AliveAmong(processes) + " holds " + alive_path +
                            "; end it and run the same command again");
}

absl::StatusOr<Incarnation> RaiseIncarnation(
    Env& env, const storage::HomeLayout& home, storage::Journal& journal,
    const std::function<void(const std::string&)>& notify) {
  ASSIGN_OR_RETURN(const uint64_t recorded, journal.LastIncarnation());
  ASSIGN_OR_RETURN(const uint64_t found, HighestOnDisk(env, home));
  if (found > recorded) {
    notify("the journal has lost its latest records (its last run is number " +
           std::to_string(recorded) + ", " + home.root + " knows of number " +
           std::to_string(found) + "): going on from the artifacts and checkpoints on the disk");
  }
  ASSIGN_OR_RETURN(const uint64_t raised, journal.NextIncarnation(found));
  return Incarnation(raised);
}

absl::Status EndOldIncarnation(Env& env, Clock& clock, const storage::HomeLayout& home,
                               storage::Journal& journal, const std::string& job_id,
                               Incarnation incarnation) {
  ASSIGN_OR_RETURN(const std::vector<storage::JobRecord> records, journal.ListJobs());
  std::set<std::string> others;
  for (const storage::JobRecord& job : records) {
    if (job.state == jobs::JobState::kRunning) others.insert(job.job_id);
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> folders, FoldersBelow(env, JobsFolder(home)));
  for (const std::string& id : folders) {
    if (HasLivingWorkers(env, home, id)) others.insert(id);
  }
  others.erase(job_id);
  for (const std::string& id : others) {
    RETURN_IF_ERROR(EndOldWorkers(env, clock, home, id, incarnation));
    RETURN_IF_ERROR(RecordInterrupted(env, home, journal, id));
  }
  return EndOldWorkers(env, clock, home, job_id, incarnation);
}

}  // namespace halcyon::coordinator
