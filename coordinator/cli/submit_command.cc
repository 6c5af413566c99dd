#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "base/clock.h"
#include "base/terminal_text.h"
#include "cluster/program_output.h"
#include "coordinator/cli/choice_option.h"
#include "coordinator/cli/commands.h"
#include "coordinator/submit/local_queue.h"
#include "coordinator/submit/queue_daemon.h"
#include "coordinator/submit/requeue.h"
#include "coordinator/submit/submit_job.h"
#include "jobs/cluster_file.h"

namespace halcyon::coordinator {
namespace {

enum class SubmitTo { kAuto, kSlurm, kLocal };

struct SubmitArguments {
  std::string job_file;
  SubmitTo to = SubmitTo::kAuto;
  std::vector<std::string> set;
  std::string until;
  bool dry_run = false;
  bool json = false;
};

bool HasProgram(const std::string& name) { return cluster::FoundInPath(name) != name; }

absl::StatusOr<Launcher> LauncherOf(SubmitTo to, const std::string& home_flag) {
  if (to == SubmitTo::kSlurm) return Launcher::kSlurm;
  if (to == SubmitTo::kLocal) return Launcher::kLocal;
  ASSIGN_OR_RETURN(const std::string root, storage::ChooseHome(home_flag));
  ASSIGN_OR_RETURN(const jobs::ClusterFile cluster, jobs::LoadClusterFile(root));
  return !cluster.commands.empty() || HasProgram("sbatch") ? Launcher::kSlurm : Launcher::kLocal;
}

void PrintSubmitted(const SubmittedJob& job, bool as_json) {
  const Submission& submission = job.submission;
  if (as_json) {
    nlohmann::json json = {{"job", submission.job_id}, {"launcher", NameOf(submission.launcher)}};
    if (submission.launcher == Launcher::kSlurm) json["slurm_job_id"] = submission.slurm_job_id;
    return PrintJson(json);
  }
  std::string text = "submitted job " + submission.job_id;
  if (submission.launcher == Launcher::kSlurm) text += " as Slurm job " + submission.slurm_job_id;
  if (submission.launcher == Launcher::kLocal) text += " to the queue of " + job.home.root;
  PrintText(text + fmt::format("\nfollow it with `halcyon watch {0}`; wait for its end with "
                               "`halcyon wait {0}`\n",
                               submission.job_id));
}

absl::Status Submit(const SubmitArguments& arguments, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const Launcher launcher, LauncherOf(arguments.to, home_flag));
  ASSIGN_OR_RETURN(SubmittedJob job, ReadJobToSubmit(arguments.job_file, arguments.set,
                                                     arguments.until, home_flag, launcher));
  if (arguments.dry_run) {
    if (launcher == Launcher::kLocal) {
      return InvalidArgument("--dry-run prints the script for Slurm; use --launcher slurm");
    }
    ASSIGN_OR_RETURN(const std::string script, ScriptOf(job));
    PrintText(script);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(SubmitAs(*Env::Posix(), &job));
  PrintSubmitted(job, arguments.json);
  return absl::OkStatus();
}

absl::Status RequeueJob(const std::string& job_id, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  const char* slurm_id = std::getenv("SLURM_JOB_ID");
  const char* restarts = std::getenv("SLURM_RESTART_COUNT");
  ASSIGN_OR_RETURN(const std::string done,
                   Requeue(*Env::Posix(), home, job_id, slurm_id != nullptr ? slurm_id : "",
                           restarts != nullptr ? std::atoll(restarts) : 0));
  PrintText(done + "\n");
  return absl::OkStatus();
}

}  // namespace

void AddSubmit(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<SubmitArguments>();
  CLI::App* command = app.add_subcommand(
      "submit", "Have Slurm, or the queue of this machine, run a job when there is room for it");
  command->add_option("job_file", arguments->job_file, "The job: a TOML file")->required();
  AddChoice(command, "--launcher", &arguments->to,
            {{"auto", SubmitTo::kAuto}, {"slurm", SubmitTo::kSlurm}, {"local", SubmitTo::kLocal}},
            "Who runs it; auto: Slurm where its commands are, else the queue of "
            "`halcyon coordinator`");
  AddSet(command, &arguments->set);
  AddUntil(command, &arguments->until);
  command->add_flag("--dry-run", arguments->dry_run,
                    "Print the script for Slurm, and submit nothing");
  command->add_flag("--json", arguments->json, "Print the job's id, and Slurm's, as JSON");
  command->callback([=] { line->chosen = [=] { return Submit(*arguments, line->home); }; });
}

void AddRequeue(CLI::App& app, CommandLine* line) {
  const auto job = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(
      "requeue", "For the script of a Slurm job: have the job go on in another allocation");
  command->add_option("job", *job, "The job's id")->required();
  command->callback([=] { line->chosen = [=] { return RequeueJob(*job, line->home); }; });
}

}  // namespace halcyon::coordinator
