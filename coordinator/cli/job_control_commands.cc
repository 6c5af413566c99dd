// wait, cancel and resume: what is done about a job from outside, wherever it runs.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "base/exit_code.h"
#include "base/terminal_text.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/number_check.h"
#include "coordinator/housekeeping/orphans.h"
#include "coordinator/requests.h"
#include "coordinator/submit/end_watch.h"
#include "coordinator/submit/local_queue.h"
#include "coordinator/submit/slurm.h"
#include "coordinator/submit/submit_job.h"
#include "coordinator/submit/whereabouts.h"
#include "jobs/cluster_file.h"
#include "storage/sharing.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kWaitPollMs = 300;

// --- wait ---

struct WaitArguments {
  std::string job;
  int64_t timeout_s = 0;
};

absl::Status WaitForJob(const WaitArguments& arguments, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  ASSIGN_OR_RETURN(JobStatus job, FindJob(home, arguments.job, /*done_only=*/false));
  EndWatch watch(home);
  Clock& clock = *Clock::Real();
  const int64_t started_ms = clock.MonotonicMs();
  while (true) {
    ASSIGN_OR_RETURN(const bool ended, watch.HasEnded(&job));
    if (ended) break;
    if (arguments.timeout_s > 0 && clock.MonotonicMs() - started_ms >= 1000 * arguments.timeout_s) {
      return Unavailable(fmt::format("job {} has not ended within {} s: it is {}", job.job_id,
                                     arguments.timeout_s, jobs::NameOf(job.state)));
    }
    clock.SleepMs(kWaitPollMs);
    ASSIGN_OR_RETURN(job, FindJob(home, job.job_id, /*done_only=*/false));
  }
  // Between the look at the job and that at the queue it may have begun and ended.
  ASSIGN_OR_RETURN(job, FindJob(home, job.job_id, /*done_only=*/false));
  watch.Correct(&job);
  ShowPlace(WhereaboutsReader(*Env::Posix(), home).Of(job), &job);
  return EndOf(job);
}

// --- cancel ---

struct CancelArguments {
  std::string job;
  bool stop = false;
  bool now = false;
};

bool HasAllItWasRunFor(const JobStatus& job) {
  return job.state == jobs::JobState::kDone || job.state == jobs::JobState::kPartial;
}

// A job that was taken back before it began again.
absl::Status RecordCancelled(const storage::HomeLayout& home, JobStatus job) {
  if (HasAllItWasRunFor(job)) return absl::OkStatus();
  job.exit_code = static_cast<int>(ExitCode::kCancelled);
  job.error = job.state == jobs::JobState::kInterrupted ? "cancelled after its coordinator had died"
                                                        : "cancelled before it was started";
  const bool never_began = job.state == jobs::JobState::kQueued;
  job.state = jobs::JobState::kCancelled;
  job.updated_ms = Clock::Real()->WallMs();
  if (never_began) job.started_ms = job.updated_ms;  // the time in a queue is no time of work
  return WriteJobStatus(*Env::Posix(), home, job);
}

absl::Status CancelSlurmJob(const storage::HomeLayout& home, const Whereabouts& place) {
  ASSIGN_OR_RETURN(const jobs::ClusterFile cluster, jobs::LoadClusterFile(home.root));
  return Slurm(cluster.commands).Cancel(place.submission->slurm_job_id);
}

// Without a coordinator nobody can tell them to save.
absl::Status CancelOrphans(Env& env, const storage::HomeLayout& home, const JobStatus& job,
                           bool only_stop) {
  RETURN_IF_ERROR(EndOrphans(env, *Clock::Real(), home, job.job_id));
  if (!only_stop) RETURN_IF_ERROR(RecordCancelled(home, job));
  PrintText("job " + job.job_id +
            " had no coordinator any more; its ranks and agents are ended, "
            "and what they had saved is kept\n");
  return absl::OkStatus();
}

absl::Status CancelJob(const CancelArguments& arguments, const std::string& home_flag) {
  Env& env = *Env::Posix();
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  ASSIGN_OR_RETURN(const JobStatus job, FindJob(home, arguments.job, /*done_only=*/false));
  RETURN_IF_ERROR(storage::CheckIsOwnJob(home, job.job_id, "cancel"));
  const Whereabouts place = WhereaboutsReader(env, home, Clock::Real()).Of(job.job_id);
  if (!place.is_live && !place.is_outstanding) {
    if (!place.slurm_error.empty()) {
      return Unavailable("job " + job.job_id + " " + place.text + "; try again");
    }
    ASSIGN_OR_RETURN(const bool has_orphans, HasWorkers(env, home, job.job_id));
    if (has_orphans) return CancelOrphans(env, home, job, arguments.stop);
    return InvalidArgument("job " + job.job_id + " is " + std::string(jobs::NameOf(job.state)) +
                           " and waits nowhere: there is nothing to cancel");
  }
  if (!place.is_live) {
    const bool was_waiting = LocalQueue(env, home).Withdraw(job.job_id);
    const bool is_pending = place.slurm && place.slurm->state == "PENDING";
    if (is_pending) RETURN_IF_ERROR(CancelSlurmJob(home, place));
    if (was_waiting || is_pending) {
      RETURN_IF_ERROR(RecordCancelled(home, job));
      PrintText("job " + job.job_id + " is cancelled; it had not been started\n");
      return absl::OkStatus();
    }
  }
  const Request request = arguments.stop ? Request::kStop : Request::kCancel;
  RETURN_IF_ERROR(WriteRequest(env, home, job.job_id, request,
                               place.submission ? place.submission->id : "", arguments.now));
  PrintText(fmt::format("asked job {0} to {1}; `halcyon wait {0}` ends when it has ended\n",
                        job.job_id,
                        arguments.now    ? "end at once"
                        : arguments.stop ? "save and stop"
                                         : "save and end"));
  return absl::OkStatus();
}

// --- resume ---

absl::Status ResumeJob(const std::string& name, bool as_json, const std::string& home_flag) {
  Env& env = *Env::Posix();
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  ASSIGN_OR_RETURN(const JobStatus status, FindJob(home, name, /*done_only=*/false));
  auto submission = ReadSubmission(env, home, status.job_id);
  if (!submission) {
    return InvalidArgument(
        "how job " + status.job_id +
        " was run is not recorded: run its job file again (halcyon run JOB.toml)");
  }
  // What it was run for is made: to go on is to make the rest.
  if (status.state == jobs::JobState::kPartial) submission->until.clear();
  if (submission->launcher == Launcher::kForeground) {
    return RunInForeground(submission->spec_path, submission->set, submission->until, home.root);
  }
  ASSIGN_OR_RETURN(SubmittedJob job,
                   ReadJobToSubmit(submission->spec_path, submission->set, submission->until,
                                   home.root, submission->launcher));
  RETURN_IF_ERROR(SubmitAs(env, &job));
  if (as_json) {
    PrintJson(ToJson(job.submission));
  } else {
    PrintText(fmt::format(
        "job {} is resumed ({}{})\n", job.submission.job_id, NameOf(job.submission.launcher),
        job.submission.slurm_job_id.empty() ? "" : ", Slurm job " + job.submission.slurm_job_id));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status EndOf(const JobStatus& job) {
  const std::string what = "job " + job.job_id + " is " + std::string(jobs::NameOf(job.state)) +
                           (job.error.empty() ? "" : ": " + job.error);
  if (HasAllItWasRunFor(job)) return absl::OkStatus();
  if (job.state == jobs::JobState::kCancelled) return absl::CancelledError(ToAbsl(what));
  if (job.state != jobs::JobState::kFailed) return Aborted(what);
  switch (static_cast<ExitCode>(job.exit_code)) {
    case ExitCode::kBadInput:
      return InvalidArgument(what);
    case ExitCode::kDiskFull:
      return ResourceExhausted(what);
    default:
      return Internal(what);
  }
}

void AddWait(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<WaitArguments>();
  CLI::App* command = app.add_subcommand(
      "wait", "Wait until a job has ended, also while it waits to go on; ends with its exit code");
  command->add_option("job", arguments->job, "The job's id; the last changed job by default");
  command->add_option("--timeout", arguments->timeout_s, "Seconds to wait at most; 0: no limit")
      ->check(WholeNumber(0, int64_t{1} << 40));
  command->callback([=] { line->chosen = [=] { return WaitForJob(*arguments, line->home); }; });
}

void AddCancel(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<CancelArguments>();
  CLI::App* command =
      app.add_subcommand("cancel", "Have a job save and end for good, or take it out of its queue");
  command->add_option("job", arguments->job, "The job's id, or its name")->required();
  command->add_flag("--stop", arguments->stop,
                    "Only stop it, as a signal does: a job in a queue may go on by itself");
  command->add_flag("--now", arguments->now, "End at once, without saving");
  command->callback([=] { line->chosen = [=] { return CancelJob(*arguments, line->home); }; });
}

void AddResume(CLI::App& app, CommandLine* line) {
  const auto job = std::make_shared<std::string>();
  const auto as_json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand(
      "resume", "Run or submit a job again, the way it was; it goes on from what was saved");
  command->add_option("job", *job, "The job's id; the last changed job by default");
  command->add_flag("--json", *as_json, "Print how it was submitted as JSON");
  command->callback([=] { line->chosen = [=] { return ResumeJob(*job, *as_json, line->home); }; });
}

}  // namespace halcyon::coordinator
