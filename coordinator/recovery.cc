#include "coordinator/recovery.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "coordinator/job_status.h"
#include "coordinator/process_registry.h"

namespace halcyon::coordinator {
namespace {

using storage::FileLock;

constexpr int64_t kLockPollMs = 100;
// Shorter waits are those for a command that only looks; nobody needs to hear of them.
constexpr int64_t kFirstWordMs = 500;
constexpr int64_t kNextWordMs = 10000;
constexpr int64_t kEndPollMs = 20;

std::string HolderOf(const storage::HomeLayout& home) {
  const auto text = Env::Posix()->ReadFile(home.Lock());
  if (!text.ok()) return "another process";
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("job") || !json.contains("pid")) return "another process";
  return "job " + json["job"].get<std::string>() + " (pid " + json["pid"].dump() + ")";
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

}  // namespace

std::string ProcessesPath(const storage::HomeLayout& home, const std::string& job_id) {
  return JoinPath(home.Job(job_id), "processes.json");
}

absl::StatusOr<std::unique_ptr<FileLock>> OwnHome(
    const storage::HomeLayout& home, const std::string& job_id, Clock& clock,
    const std::function<void(const std::string&)>& say) {
  int64_t next_word_ms = clock.MonotonicMs() + kFirstWordMs;
  while (true) {
    ASSIGN_OR_RETURN(auto lock, FileLock::TryAcquire(home.Lock(), FileLock::Mode::kExclusive));
    if (lock != nullptr) {
      RETURN_IF_ERROR(lock->Write(OwnerText(job_id, clock)));
      return lock;
    }
    if (clock.MonotonicMs() >= next_word_ms) {
      say("waiting for " + HolderOf(home) + ", which is using " + home.root);
      next_word_ms = clock.MonotonicMs() + kNextWordMs;
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
    // The lock below still tells when they have ended by themselves.
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

absl::Status EndOldIncarnation(Env& env, Clock& clock, const storage::HomeLayout& home,
                               storage::Journal& journal, const std::string& job_id,
                               Incarnation incarnation) {
  ASSIGN_OR_RETURN(const std::vector<storage::JobRecord> jobs, journal.ListJobs());
  for (storage::JobRecord job : jobs) {
    if (job.state != jobs::JobState::kRunning || job.job_id == job_id) continue;
    RETURN_IF_ERROR(EndOldWorkers(env, clock, home, job.job_id, incarnation));
    job.state = jobs::JobState::kPreempted;
    job.error = "its coordinator ended; run the same command again to go on";
    RETURN_IF_ERROR(journal.PutJob(job));
    if (auto status = ReadJobStatus(env, home, job.job_id); status.ok()) {
      status->state = job.state;
      status->error = job.error;
      RETURN_IF_ERROR(WriteJobStatus(env, home, *status));
    }
  }
  return EndOldWorkers(env, clock, home, job_id, incarnation);
}

}  // namespace halcyon::coordinator
