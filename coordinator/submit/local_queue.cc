#include "coordinator/submit/local_queue.h"
#include "storage/sharing.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace halcyon::coordinator {
namespace {

constexpr std::string_view kEntryEnding = ".json";
constexpr size_t kTimeDigits = 15;

std::string JobOfEntry(const std::string& file) {
  if (file.size() < kTimeDigits + 1 + kEntryEnding.size() || !file.ends_with(kEntryEnding))
    return "";
  return file.substr(kTimeDigits + 1, file.size() - kTimeDigits - 1 - kEntryEnding.size());
}

nlohmann::json TakenToJson(const TakenJob& job) {
  return {{"slots", job.needs.slots},
          {"gpus_wanted", job.needs.gpus},
          {"may_do_without_gpus", job.needs.may_do_without_gpus},
          {"gpus", job.gpus},
          {"starts", job.starts},
          {"pid", job.pid},
          {"start_time", job.start_time},
          {"boot_id", job.boot_id}};
}

// What Add wrote has no process yet.
TakenJob TakenFromJson(const std::string& job_id, const std::string& text) {
  TakenJob job;
  job.job_id = job_id;
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  try {
    job.needs.slots = json.value("slots", int64_t{1});
    job.needs.gpus = json.value("gpus_wanted", int64_t{0});
    job.needs.may_do_without_gpus = json.value("may_do_without_gpus", false);
    job.gpus = json.value("gpus", std::vector<int64_t>());
    job.starts = json.value("starts", int64_t{0});
    job.pid = json.value("pid", int64_t{0});
    job.start_time = json.value("start_time", uint64_t{0});
    job.boot_id = json.value("boot_id", "");
  } catch (const nlohmann::json::exception&) {
    // Only another program can have written that. The job is started again, which does no harm.
    job = TakenJob{.job_id = job_id, .needs = {}, .gpus = {}, .boot_id = ""};
  }
  return job;
}

std::vector<std::string> NamesIn(Env& env, const std::string& folder) {
  auto names = env.ListDir(folder);
  return names.ok() ? *std::move(names) : std::vector<std::string>();
}

}  // namespace

absl::Status CheckHasQueue(const storage::HomeLayout& home) {
  ASSIGN_OR_RETURN(const auto sharing, storage::ReadSharing(home));
  if (!sharing) return absl::OkStatus();
  return FailedPrecondition(
      home.root + ": is shared with group " + sharing->group +
      " and has no queue, which would run the jobs of all as one user: use `halcyon run -d`, or "
      "`halcyon submit --launcher slurm`");
}

LocalQueue::LocalQueue(Env& env, const storage::HomeLayout& home)
    : env_(env), folder_(JoinPath(home.root, "queue")) {}

std::string LocalQueue::TakenFolder(const std::string& host) const {
  return JoinPath(JoinPath(folder_, "taken"), host);
}

std::string LocalQueue::LeaseFolder(const std::string& host) const {
  return JoinPath(JoinPath(folder_, "daemon"), host);
}

absl::Status LocalQueue::Add(const std::string& job_id, const JobNeeds& needs,
                             int64_t submitted_ms) {
  const std::string waiting = JoinPath(folder_, "waiting");
  RETURN_IF_ERROR(env_.CreateDirs(waiting));
  const TakenJob entry{.job_id = job_id, .needs = needs, .gpus = {}, .boot_id = ""};
  return WriteFileAtomically(env_,
                             JoinPath(waiting, fmt::format("{:0{}}-{}{}", submitted_ms, kTimeDigits,
                                                           job_id, kEntryEnding)),
                             TakenToJson(entry).dump() + "\n");
}

std::vector<WaitingJob> LocalQueue::Waiting() {
  std::vector<WaitingJob> waiting;
  const std::string folder = JoinPath(folder_, "waiting");
  for (const std::string& file : NamesIn(env_, folder)) {
    const std::string job_id = JobOfEntry(file);
    const auto text = env_.ReadFile(JoinPath(folder, file));
    if (job_id.empty() || !text.ok()) continue;
    waiting.push_back({job_id, TakenFromJson(job_id, *text).needs, file});
  }
  return waiting;
}

bool LocalQueue::Withdraw(const std::string& job_id) {
  const std::string folder = JoinPath(folder_, "waiting");
  bool withdrawn = false;
  for (const std::string& file : NamesIn(env_, folder)) {
    if (JobOfEntry(file) != job_id) continue;
    withdrawn = env_.RemoveFile(JoinPath(folder, file)).ok() || withdrawn;
  }
  return withdrawn;
}

absl::StatusOr<bool> LocalQueue::Take(const WaitingJob& job, const std::string& host) {
  RETURN_IF_ERROR(env_.CreateDirs(TakenFolder(host)));
  const std::string from = JoinPath(JoinPath(folder_, "waiting"), job.file);
  const absl::Status moved =
      env_.Rename(from, JoinPath(TakenFolder(host), job.job_id + std::string(kEntryEnding)));
  if (absl::IsNotFound(moved)) return false;
  RETURN_IF_ERROR(moved);
  return true;
}

std::vector<TakenJob> LocalQueue::TakenBy(const std::string& host) {
  std::vector<TakenJob> taken;
  for (const std::string& file : NamesIn(env_, TakenFolder(host))) {
    if (!file.ends_with(kEntryEnding)) continue;
    const auto text = env_.ReadFile(JoinPath(TakenFolder(host), file));
    if (!text.ok()) continue;
    taken.push_back(TakenFromJson(file.substr(0, file.size() - kEntryEnding.size()), *text));
  }
  return taken;
}

absl::Status LocalQueue::WriteTaken(const std::string& host, const TakenJob& job) {
  return WriteFileAtomically(env_,
                             JoinPath(TakenFolder(host), job.job_id + std::string(kEntryEnding)),
                             TakenToJson(job).dump() + "\n");
}

absl::Status LocalQueue::RemoveTaken(const std::string& host, const std::string& job_id) {
  return env_.RemoveFile(JoinPath(TakenFolder(host), job_id + std::string(kEntryEnding)));
}

std::optional<std::string> LocalQueue::Find(const std::string& job_id) {
  const std::vector<WaitingJob> waiting = Waiting();
  for (size_t before = 0; before < waiting.size(); ++before) {
    if (waiting[before].job_id != job_id) continue;
    return fmt::format("waits in the queue of this home, {} before it", before);
  }
  for (const std::string& host : NamesIn(env_, JoinPath(folder_, "taken"))) {
    for (const TakenJob& job : TakenBy(host)) {
      if (job.job_id != job_id) continue;
      return job.pid == 0 ? "is being started on " + host
                          : fmt::format("was started on {} as process {}", host, job.pid);
    }
  }
  return std::nullopt;
}

}  // namespace halcyon::coordinator
