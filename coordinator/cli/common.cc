#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>

#include "base/standard_output.h"
#include "base/terminal_text.h"
#include "cluster/launcher.h"
#include "coordinator/cli/commands.h"
#include "coordinator/processes/recovery.h"
#include "jobs/spec_overrides.h"

namespace halcyon::coordinator {

absl::StatusOr<storage::HomeLayout> LookAtHome(const std::string& home_flag) {
  ASSIGN_OR_RETURN(const std::string root, storage::ChooseHome(home_flag));
  return storage::FindHome(root);
}

namespace {

void CorrectState(const storage::HomeLayout& home, JobStatus* job) {
  if (job->state != jobs::JobState::kRunning) return;
  if (!OwnerOf(*Env::Posix(), home, job->job_id)) MarkInterrupted(job);
}

}  // namespace

absl::StatusOr<std::vector<JobStatus>> AllJobs(const storage::HomeLayout& home,
                                               std::vector<std::string>* unreadable) {
  ASSIGN_OR_RETURN(std::vector<JobStatus> jobs, ListJobStatuses(*Env::Posix(), home, unreadable));
  for (JobStatus& job : jobs) CorrectState(home, &job);
  return jobs;
}

namespace {

absl::StatusOr<JobStatus> FindNamedJob(const storage::HomeLayout& home, const std::string& job) {
  Env& env = *Env::Posix();
  if (env.Exists(StatusPath(home, job))) return ReadJobStatus(env, home, job);
  std::vector<std::string> unreadable;
  ASSIGN_OR_RETURN(std::vector<JobStatus> jobs, ListJobStatuses(env, home, &unreadable));
  std::erase_if(jobs, [&](const JobStatus& status) { return status.name != job; });
  if (jobs.empty()) return ReadJobStatus(env, home, job).status();  // says that there is none
  if (jobs.size() > 1) {
    PrintToStandardError(fmt::format("{} jobs are named {}; taking {}, which changed last\n",
                                     jobs.size(), job, jobs.front().job_id));
  }
  return jobs.front();
}

}  // namespace

absl::StatusOr<JobStatus> FindJob(const storage::HomeLayout& home, const std::string& job,
                                  bool done_only) {
  if (!job.empty()) {
    ASSIGN_OR_RETURN(JobStatus named, FindNamedJob(home, job));
    CorrectState(home, &named);
    return named;
  }
  std::vector<std::string> unreadable;
  ASSIGN_OR_RETURN(const std::vector<JobStatus> jobs, AllJobs(home, &unreadable));
  const auto it = std::find_if(jobs.begin(), jobs.end(), [done_only](const JobStatus& job) {
    return !done_only || job.state == jobs::JobState::kDone;
  });
  if (it == jobs.end()) {
    const std::string what =
        "no " + std::string(done_only ? "finished " : "") + "job in " + home.root;
    if (!unreadable.empty()) return NotFound(what + " that can be read: " + unreadable.front());
    return NotFound(what +
                    ": run one (halcyon run JOB.toml), or choose another folder with --home");
  }
  return *it;
}

void AddSet(CLI::App* command, std::vector<std::string>* words) {
  command
      ->add_option("--set", *words,
                   "KEY=VALUE in place of what the file says, such as train.steps=2000; may be "
                   "given several times")
      ->type_name("KEY=VALUE")
      ->default_str("")
      ->allow_extra_args(false);
}

void AddUntil(CLI::App* command, std::string* until) {
  command
      ->add_option("--until", *until,
                   "Make this stage and those that it needs, and end: tokenizer, tokens, "
                   "autoencoder, latents, model or eval; without it, all")
      ->type_name("STAGE")
      ->check([](const std::string& stage) {
        return stage.empty() ? "names no stage; leave it out to make all" : "";
      })
      ->default_str("");
}

absl::StatusOr<jobs::JobSpec> LoadJob(const std::string& path,
                                      const std::vector<std::string>& set_words) {
  ASSIGN_OR_RETURN(const auto overrides, jobs::ParseOverrides(set_words));
  return jobs::LoadJobSpec(path, overrides);
}

absl::Status ExecWorker(std::vector<std::string> words) {
  ASSIGN_OR_RETURN(const std::string program, cluster::WorkerProgram());
  words.insert(words.begin(), program);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(program.c_str(), argv.data());
  return ErrnoStatus(errno, "cannot start " + program);
}

void PrintText(std::string_view text) { StandardOutput::OfProcess().Print(text); }

void PrintJson(const nlohmann::json& json) {
  PrintText(json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

std::string FormatBytes(uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value < 1e3) return fmt::format("{} B", bytes);
  if (value < 1e6) return fmt::format("{:.1f} kB", value / 1e3);
  if (value < 1e9) return fmt::format("{:.1f} MB", value / 1e6);
  return fmt::format("{:.1f} GB", value / 1e9);
}

}  // namespace halcyon::coordinator
