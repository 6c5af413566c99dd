#include "coordinator/submit/queue_daemon.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/wait.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <thread>
#include <utility>

#include "base/exit_code.h"
#include "cluster/command.h"
#include "coordinator/job_status.h"
#include "coordinator/submit/detached_run.h"

namespace halcyon::coordinator {
namespace {

bool HasProcess(const TakenJob& job) {
  return job.pid > 0 && job.boot_id == cluster::BootId() &&
         cluster::IsAlive({static_cast<pid_t>(job.pid), job.start_time});
}

}  // namespace

QueueMachine ThisMachine(int64_t slots) {
  constexpr std::string_view kPrefix = "nvidia";
  QueueMachine machine;
  machine.host = HostName();
  machine.slots = slots > 0 ? slots : std::max<int64_t>(1, std::thread::hardware_concurrency());
  const auto devices = Env::Posix()->ListDir("/dev");
  if (!devices.ok()) return machine;
  for (const std::string& name : *devices) {
    int64_t gpu = 0;
    const char* const end = name.data() + name.size();
    if (!name.starts_with(kPrefix)) continue;
    const auto parsed = std::from_chars(name.data() + kPrefix.size(), end, gpu);
    if (parsed.ec == std::errc() && parsed.ptr == end) machine.gpus.push_back(gpu);
  }
  return machine;
}

JobNeeds NeedsOf(const jobs::LaunchSpec& launch) {
  JobNeeds needs{launch.ranks * launch.threads, 0};
  if (launch.device == jobs::DeviceChoice::kCpu) return needs;
  needs.gpus = launch.ranks;
  needs.may_do_without_gpus = launch.device == jobs::DeviceChoice::kAuto;
  return needs;
}

std::optional<std::vector<int64_t>> RoomFor(const JobNeeds& needs, const QueueMachine& machine,
                                            const std::vector<TakenJob>& taken) {
  int64_t slots = machine.slots;
  std::set<int64_t> used;
  for (const TakenJob& job : taken) {
    slots -= job.needs.slots;
    used.insert(job.gpus.begin(), job.gpus.end());
  }
  std::vector<int64_t> gpus;
  for (const int64_t gpu : machine.gpus) {
    if (!used.contains(gpu)) gpus.push_back(gpu);
  }
  const bool does_without =
      needs.may_do_without_gpus && std::cmp_less(machine.gpus.size(), needs.gpus);
  const auto wanted = does_without ? 0 : static_cast<size_t>(needs.gpus);
  if (taken.empty()) {
    gpus.resize(std::min(gpus.size(), wanted));
    return gpus;
  }
  if (needs.slots > slots || wanted > gpus.size()) return std::nullopt;
  gpus.resize(wanted);
  return gpus;
}

StartJob StartJobProcess(const storage::HomeLayout& home) {
  return [home](const Submission& submission,
                const TakenJob& job) -> absl::StatusOr<cluster::ProcessIdentity> {
    std::map<std::string, std::string> env;
    // Also "" for a job without GPUs, which is to leave those of the others alone.
    env["CUDA_VISIBLE_DEVICES"] = fmt::format("{}", fmt::join(job.gpus, ","));
    return StartDetachedRun(home, submission, env);
  };
}

QueueDaemon::QueueDaemon(Env* env, const storage::HomeLayout& home, QueueMachine machine,
                         StartJob start, std::function<void(const std::string&)> notify)
    : env_(env),
      home_(home),
      machine_(std::move(machine)),
      start_(std::move(start)),
      notify_(std::move(notify)),
      queue_(*env, home) {}

absl::Status QueueDaemon::Turn() {
  std::vector<TakenJob> running;
  for (TakenJob& job : queue_.TakenBy(machine_.host)) {
    ASSIGN_OR_RETURN(const bool keeps, Keep(&job));
    if (keeps) running.push_back(std::move(job));
  }
  const std::vector<WaitingJob> waiting = queue_.Waiting();
  size_t left = waiting.size();
  for (const WaitingJob& next : waiting) {
    // In order: a job that needs much is not overtaken for ever by those that need little.
    auto gpus = RoomFor(next.needs, machine_, running);
    if (!gpus) break;
    ASSIGN_OR_RETURN(const bool taken, queue_.Take(next, machine_.host));
    --left;
    if (!taken) continue;
    TakenJob job{
        .job_id = next.job_id, .needs = next.needs, .gpus = *std::move(gpus), .boot_id = ""};
    RETURN_IF_ERROR(Start(job));
    running.push_back(std::move(job));
  }
  idle_ = running.empty() && left == 0;
  return absl::OkStatus();
}

absl::StatusOr<bool> QueueDaemon::Keep(TakenJob* job) {
  if (job->pid > 0) waitpid(static_cast<pid_t>(job->pid), nullptr, WNOHANG);
  if (HasProcess(*job)) return true;
  if (job->pid == 0) {
    // The daemon before died between taking and starting it. Should its process run after all, the
    // job's ownership refuses the second one.
    RETURN_IF_ERROR(Start(*job));
    return true;
  }
  const auto status = ReadJobStatus(*env_, home_, job->job_id);
  const bool was_killed = status.ok() && status->state == jobs::JobState::kRunning;
  if (was_killed && job->starts <= kQueueRestartsMax) {
    notify_(fmt::format("job {}: its coordinator was killed; started again", job->job_id));
    RETURN_IF_ERROR(Start(*job));
    return true;
  }
  if (was_killed) {
    notify_(
        fmt::format("job {0}: its coordinator was killed {1} times, and is not started again; "
                    "`halcyon why {0}` "
                    "may say what is wrong, `halcyon resume {0}` goes on with it",
                    job->job_id, job->starts));
    RETURN_IF_ERROR(queue_.RemoveTaken(machine_.host, job->job_id));
    return false;
  }
  RETURN_IF_ERROR(End(*job, "its process ended before the job began"));
  return false;
}

absl::Status QueueDaemon::Start(TakenJob job) {
  const auto submission = ReadSubmission(*env_, home_, job.job_id);
  if (!submission) return End(job, "its submission cannot be read");
  ++job.starts;
  RETURN_IF_ERROR(queue_.WriteTaken(machine_.host, job));
  const auto process = start_(*submission, job);
  if (!process.ok()) return End(job, MessageOf(process.status()));
  job.pid = process->pid;
  job.start_time = process->start_time;
  job.boot_id = cluster::BootId();
  RETURN_IF_ERROR(queue_.WriteTaken(machine_.host, job));
  notify_(
      fmt::format("job {}: started as process {}{}", job.job_id, job.pid,
                  job.gpus.empty() ? "" : fmt::format(" on GPU {}", fmt::join(job.gpus, ", "))));
  return absl::OkStatus();
}

absl::Status QueueDaemon::End(const TakenJob& job, const std::string& why) {
  auto status = ReadJobStatus(*env_, home_, job.job_id);
  if (status.ok() && status->state == jobs::JobState::kQueued) {
    status->state = jobs::JobState::kFailed;
    status->exit_code = static_cast<int>(ExitCode::kJobFailed);
    const std::string said = LastLineOfDetachedRun(*env_, home_, job.job_id);
    status->error = said.empty() ? why : said;
    RETURN_IF_ERROR(WriteJobStatus(*env_, home_, *status));
  }
  if (status.ok()) {
    notify_(fmt::format("job {}: {}{}", job.job_id, jobs::NameOf(status->state),
                        status->error.empty() ? "" : " (" + status->error + ")"));
  }
  return queue_.RemoveTaken(machine_.host, job.job_id);
}

}  // namespace halcyon::coordinator
