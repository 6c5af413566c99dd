#include "coordinator/submit/submission.h"

#include <unistd.h>

#include <array>
#include <utility>

namespace halcyon::coordinator {
namespace {

constexpr std::array<std::pair<Launcher, std::string_view>, 4> kLaunchers = {{
    {Launcher::kForeground, "foreground"},
    {Launcher::kBackground, "background"},
    {Launcher::kLocal, "local"},
    {Launcher::kSlurm, "slurm"},
}};

absl::StatusOr<Submission> SubmissionFromParsed(const nlohmann::json& json) {
  Submission submission;
  json.at("id").get_to(submission.id);
  ASSIGN_OR_RETURN(submission.launcher, LauncherFromName(json.at("launcher").get<std::string>()));
  json.at("job").get_to(submission.job_id);
  json.at("name").get_to(submission.name);
  json.at("job_file").get_to(submission.spec_path);
  json.at("set").get_to(submission.set);
  submission.until = json.value("until", std::string());  // older versions did not write it
  json.at("submitted_ms").get_to(submission.submitted_ms);
  json.at("host").get_to(submission.host);
  json.at("pid").get_to(submission.pid);
  json.at("start_time").get_to(submission.start_time);
  json.at("boot_id").get_to(submission.boot_id);
  json.at("slurm_job_id").get_to(submission.slurm_job_id);
  json.at("requeues").get_to(submission.requeues);
  json.at("requeues_without_progress").get_to(submission.requeues_without_progress);
  json.at("progress").get_to(submission.progress);
  return submission;
}

}  // namespace

std::string_view NameOf(Launcher launcher) {
  for (const auto& [candidate, name] : kLaunchers) {
    if (candidate == launcher) return name;
  }
  return "unknown";
}

absl::StatusOr<Launcher> LauncherFromName(std::string_view name) {
  for (const auto& [launcher, candidate] : kLaunchers) {
    if (candidate == name) return launcher;
  }
  return InvalidArgument("unknown launcher \"" + std::string(name) +
                         "\"; it is one of foreground, background, local, slurm");
}

std::string HostName() {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return host;
}

std::string NewSubmissionId(int64_t wall_ms) {
  return HostName() + "-" + std::to_string(wall_ms) + "-" + std::to_string(getpid());
}

std::string SubmissionPath(const storage::HomeLayout& home, const std::string& job_id) {
  return JoinPath(home.Job(job_id), "submission.json");
}

nlohmann::json ToJson(const Submission& submission) {
  return {{"id", submission.id},
          {"launcher", NameOf(submission.launcher)},
          {"job", submission.job_id},
          {"name", submission.name},
          {"job_file", submission.spec_path},
          {"set", submission.set},
          {"until", submission.until},
          {"submitted_ms", submission.submitted_ms},
          {"host", submission.host},
          {"pid", submission.pid},
          {"start_time", submission.start_time},
          {"boot_id", submission.boot_id},
          {"slurm_job_id", submission.slurm_job_id},
          {"requeues", submission.requeues},
          {"requeues_without_progress", submission.requeues_without_progress},
          {"progress", submission.progress}};
}

absl::Status WriteSubmission(Env& env, const storage::HomeLayout& home,
                             const Submission& submission) {
  const std::string text =
      ToJson(submission).dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  return WriteFileAtomically(env, SubmissionPath(home, submission.job_id), text + "\n");
}

absl::StatusOr<Submission> SubmissionFromJson(const std::string& text) {
  try {
    return SubmissionFromParsed(nlohmann::json::parse(text));
  } catch (const nlohmann::json::exception& error) {
    return DataLoss(std::string("not a submission as this version writes it: ") + error.what());
  }
}

std::optional<Submission> ReadSubmission(Env& env, const storage::HomeLayout& home,
                                         const std::string& job_id) {
  const auto text = env.ReadFile(SubmissionPath(home, job_id));
  if (!text.ok()) return std::nullopt;
  auto submission = SubmissionFromJson(*text);
  if (!submission.ok()) return std::nullopt;
  return *std::move(submission);
}

}  // namespace halcyon::coordinator
