#include "coordinator/processes/recovery.h"

#include <spdlog/spdlog.h>

#include <charconv>
#include <map>
#include <utility>

namespace halcyon::coordinator {
namespace {

using storage::FileLock;

constexpr int64_t kOwnPollMs = 100;
// Shorter waits are not reported.
constexpr int64_t kFirstNoticeMs = 500;
constexpr int64_t kNextNoticeMs = 10000;
constexpr int64_t kEndPollMs = 20;

// In place: a rename would give the file another inode, and with it other locks.
absl::Status WriteAliveFile(Env& env, const std::string& path, Incarnation incarnation) {
  ASSIGN_OR_RETURN(const auto file, env.NewWritableFile(path));
  RETURN_IF_ERROR(file->Append(std::to_string(incarnation.value())));
  RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

// Of the workers that ran last. 0 when the file holds no number: the lease's number then counts.
uint64_t NumberInAliveFile(Env& env, const std::string& path) {
  const auto text = env.ReadFile(path);
  uint64_t number = 0;
  if (!text.ok()) return 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), number);
  return parsed.ec == std::errc() ? number : 0;
}

std::string AliveAmong(const std::map<std::string, LocatedProcess>& processes) {
  std::string names;
  for (const auto& [name, process] : processes) {
    if (!process.IsOnThisMachine() || !IsAlive(process.process)) continue;
    names +=
        (names.empty() ? "" : ", ") + name + " (pid " + std::to_string(process.process.pid) + ")";
  }
  return names.empty() ? "a worker that is not on record" : names;
}

void KillThose(const std::map<std::string, LocatedProcess>& processes,
               const SparedWorkers& spared) {
  for (const auto& [name, process] : processes) {
    if (spared.Contains(name)) continue;
    if (!process.IsOnThisMachine() || !IsAlive(process.process)) continue;
    spdlog::warn("killing {} (pid {}) of an earlier run", name, process.process.pid);
    KillProcess(process.process);
  }
}

}  // namespace

std::optional<storage::LeaseHolder> OwnerOf(Env& env, const storage::HomeLayout& home,
                                            const std::string& job_id) {
  const auto view = storage::LookAtLease(env, home.Owner(job_id));
  if (!view.ok() || view->IsFree()) return std::nullopt;
  return view->holder;
}

std::optional<storage::LeaseHolder> LivingOwnerOf(Env& env, Clock& clock,
                                                  const storage::HomeLayout& home,
                                                  const std::string& job_id) {
  storage::LeaseWatch watch;
  std::optional<std::string> first_beat;
  while (true) {
    auto view = storage::LookAtLease(env, home.Owner(job_id));
    if (!view.ok()) return std::nullopt;
    watch.See(*view, clock.MonotonicMs());
    if (watch.MayTake()) return std::nullopt;
    const std::string beat = std::to_string(view->number) + " " + view->beat;
    if (!first_beat) first_beat = beat;
    if (view->presence == storage::Presence::kRuns || beat != *first_beat) return view->holder;
    clock.SleepMs(kOwnPollMs);
  }
}

absl::StatusOr<std::optional<OwnedJob>> TryOwnJob(Env& env, const storage::HomeLayout& home,
                                                  const std::string& job_id,
                                                  storage::LeaseSeeker& seeker) {
  OwnedJob owned;
  if (const auto view = storage::LookAtLease(env, home.Owner(job_id));
      view.ok() && view->number > 0) {
    owned.before = view->holder;
  }
  ASSIGN_OR_RETURN(owned.lease, seeker.TryTake(NumberInAliveFile(env, home.AliveFile(job_id))));
  if (owned.lease == nullptr) return std::nullopt;
  return owned;
}

absl::StatusOr<OwnedJob> OwnJob(Env& env, const storage::HomeLayout& home,
                                const std::string& job_id, Clock& clock,
                                const std::function<void(const std::string&)>& notify) {
  storage::LeaseSeeker seeker(env, clock, home.Owner(job_id),
                              storage::ThisProcess("job " + job_id));
  int64_t next_notice_ms = clock.MonotonicMs() + kFirstNoticeMs;
  while (true) {
    ASSIGN_OR_RETURN(std::optional<OwnedJob> owned, TryOwnJob(env, home, job_id, seeker));
    if (owned) return *std::move(owned);
    if (clock.MonotonicMs() >= next_notice_ms) {
      notify("waiting for " + seeker.holder().ToString() + ", which is running");
      next_notice_ms = clock.MonotonicMs() + kNextNoticeMs;
    }
    clock.SleepMs(kOwnPollMs);
  }
}

absl::Status EndOldWorkers(Env& env, Clock& clock, const storage::HomeLayout& home,
                           const std::string& job_id, Incarnation incarnation,
                           const storage::JobHistory& history, const SparedWorkers& spared) {
  RETURN_IF_ERROR(env.CreateDirs(home.Job(job_id)));
  const std::string alive_path = home.AliveFile(job_id);
  RETURN_IF_ERROR(WriteAliveFile(env, alive_path, incarnation));
  KillThose(history.processes, spared);
  // Workers that go on hold the alive file.
  if (!spared.empty()) return absl::OkStatus();
  absl::Status failure;
  const bool ended = clock.WaitFor(
      [&] {
        auto lock = FileLock::TryAcquire(alive_path, FileLock::Mode::kExclusive);
        failure = lock.status();
        return !lock.ok() || *lock != nullptr;
      },
      kOldWorkersMsMax, kEndPollMs);
  if (!failure.ok()) {
    // A file system without locks: fences refuse what a worker that is left still writes.
    spdlog::warn("{}", MessageOf(failure));
    return absl::OkStatus();
  }
  if (ended) return absl::OkStatus();
  return FailedPrecondition("workers of an earlier run of " + job_id +
                            " do not end: " + AliveAmong(history.processes) + " holds " +
                            alive_path + "; end it and run the same command again");
}

}  // namespace halcyon::coordinator
