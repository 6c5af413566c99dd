#include "coordinator/display/why.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/exit_code.h"
#include "coordinator/display/progress_format.h"
#include "coordinator/processes/child_end.h"

namespace halcyon::coordinator {
namespace {

constexpr char kSameCommand[] = "run the same command again; it goes on from there";
constexpr char kWithoutUntil[] =
    "run the same command without --until, or `halcyon resume`, to go on with them";

std::string NameOfWorker(const WorkerStatus& worker) {
  return (worker.rank >= 0 ? "rank " + std::to_string(worker.rank) : worker.worker) +
         (worker.host.empty() ? "" : " on " + worker.host);
}

std::string DoingOf(const WorkerStatus& worker) {
  if (worker.phase.empty()) return "";
  return worker.step >= 0 ? fmt::format("step {}: {}", worker.step, worker.phase) : worker.phase;
}

// What is done about each verdict, worst first. "running" and "waiting" are not here.
struct VerdictText {
  const char* verdict;
  const char* state;
  const char* what;    // follows the worker's name
  const char* advice;  // what happens by itself, and what a person can do
};
constexpr VerdictText kVerdicts[] = {
    {"stopped", "stuck",
     "exists, but its process is stopped (SIGSTOP, a debugger, a frozen container)",
     "nothing, or continue the process (kill -CONT): it is killed after 6 s without a heartbeat, "
     "and "
     "its work goes on from the last commit"},
    {"cut off", "stuck", "sends nothing, and neither does any other rank of its machine",
     "look whether the machine and its network are up; the work is launched again, without that "
     "machine where others are left"},
    {"silent", "stuck", "sends nothing",
     "look whether its machine is up, overloaded or out of memory; after 6 s without a heartbeat "
     "it is "
     "killed and its work goes on from the last commit"},
    {"stuck", "stuck", "answers, but its work stands still",
     "it is killed and its work goes on from the last commit. If it recurs on one machine, take "
     "that "
     "machine out; if such a phase is only slow, raise launch.hang_floor_s"},
    {"slow", "slow", "computes much longer for a step than the others, which wait for it",
     "look what else runs on its machine, whether it is throttled, or give the job other machines"},
};

const VerdictText* TextOf(const WorkerStatus& worker) {
  const auto* const it =
      std::find_if(std::begin(kVerdicts), std::end(kVerdicts),
                   [&](const VerdictText& text) { return worker.verdict == text.verdict; });
  return it == std::end(kVerdicts) ? nullptr : it;
}

// Those with the worst verdict first, then those for which their work stands still the longest.
std::vector<WorkerStatus> InOrder(std::vector<WorkerStatus> workers) {
  const auto key = [](const WorkerStatus& worker) {
    const VerdictText* text = TextOf(worker);
    const std::ptrdiff_t place = text == nullptr ? std::ssize(kVerdicts) : text - kVerdicts;
    return std::tuple(place, worker.verdict == "waiting", worker.since_ms, worker.rank);
  };
  std::stable_sort(workers.begin(), workers.end(),
                   [&](const auto& a, const auto& b) { return key(a) < key(b); });
  return workers;
}

// "; ranks 0 and 2 wait for it": of a gang.
std::string WhoWaitsFor(const WorkerStatus& culprit, const std::vector<WorkerStatus>& workers) {
  int64_t waiting = 0;
  std::string first;
  for (const WorkerStatus& worker : workers) {
    if (worker.waits_for != "rank " + std::to_string(culprit.rank)) continue;
    ++waiting;
    if (first.empty()) first = "rank " + std::to_string(worker.rank);
  }
  if (culprit.rank < 0 || waiting == 0) return "";
  if (waiting == 1) return "; " + first + " waits for it";
  return fmt::format("; {} ranks wait for it", waiting);
}

// An advice by signs in an error's text, in the order of importance.
struct ErrorText {
  const char* sign;
  const char* advice;
};
constexpr ErrorText kErrors[] = {
    {"ran out of memory",
     "lower the stage's micro_batch or launch.ranks, use more machines, or smaller sizes"},
    {"runs out of memory",
     "its process got SIGKILL, which the kernel does when memory is short: lower the stage's "
     "micro_batch or launch.ranks, or give the job more memory; `dmesg` of that machine may say "
     "more"},
    {"so a person or a program did",
     "find out who sent SIGKILL to its process: a person, a limit of the container or the batch "
     "system; `dmesg` of that machine says whether its kernel did. The same command tries again"},
    {"is stuck in",
     "look at that machine and at the rank's log (halcyon logs); if the phase is only slow, raise "
     "launch.hang_floor_s. The same command tries again"},
    {"the network between the ranks does not work",
     "look at the network between the machines and at the interfaces that the launcher uses; the "
     "same "
     "command tries again"},
    {"stopped sending",
     "look whether that machine was down, overloaded or cut off; the same command tries again"},
    {"came up in",
     "look at the launcher's log (halcyon logs), whether the machines are there and whether they "
     "reach launch.coordinator_address; launch.ranks_min allows to go on with fewer ranks"},
    {"is not a finite number", "lower the learning rate, or look at the data of that step"},
};

std::string AdviceOf(const JobStatus& status) {
  switch (static_cast<ExitCode>(status.exit_code)) {
    case ExitCode::kBadInput:
      return "change what the message names, then run the same command; trying again alone changes "
             "nothing";
    case ExitCode::kDiskFull:
      return "free space on that disk (halcyon cache list and halcyon rm show what may go), then "
             "run "
             "the same command again";
    default:
      break;
  }
  for (const ErrorText& error : kErrors) {
    if (status.error.find(error.sign) != std::string::npos) return error.advice;
  }
  return "see `halcyon logs " + status.job_id + "`; the same command tries again";
}

const StageStatus* StageIn(const JobStatus& status, jobs::StageState state) {
  const auto it = std::find_if(status.stages.begin(), status.stages.end(),
                               [state](const StageStatus& stage) { return stage.state == state; });
  return it == status.stages.end() ? nullptr : &*it;
}

std::string HowFar(const StageStatus& stage) {
  if (stage.steps > 0) return fmt::format("step {} of {}", stage.step, stage.steps);
  if (stage.tasks > 0) return fmt::format("{} of {} tasks are done", stage.tasks_done, stage.tasks);
  return "it is starting";
}

std::string Restarts(const StageStatus& stage) {
  if (stage.restarts == 0) return "";
  return fmt::format(". It was launched again {} in this run, last because: {}",
                     stage.restarts == 1 ? "once" : fmt::format("{} times", stage.restarts),
                     FirstLine(stage.restart_why));
}

// By the reason that Slurm gives for a job that is pending.
std::string AdviceToWait(const std::optional<SlurmJob>& slurm) {
  if (!slurm) return "nothing; `halcyon list` shows what runs before it";
  const std::string& reason = slurm->reason;
  if (reason.starts_with("JobHeld")) return "release it: `scontrol release " + slurm->id + "`";
  const bool is_usual = reason.empty() || reason == "None" || reason == "Priority" ||
                        reason == "Resources" || reason == "BeginTime" || reason == "Prolog";
  if (is_usual)
    return "nothing; `squeue --start -j " + slurm->id + "` says when Slurm means to start it";
  return "see what " + reason +
         " means (`man squeue`, JOB REASON CODES): Slurm may never start it so. If it does not, "
         "`halcyon cancel` it, change [launch.slurm], and submit it again";
}

void ExplainEnded(const JobStatus& status, const JobPlace& place, Why* why) {
  why->since_ms = status.updated_ms;
  switch (status.state) {
    case jobs::JobState::kDone:
      why->cause = "it is finished";
      why->ranks.clear();
      return;
    case jobs::JobState::kPartial:
      why->cause = status.MadeUntil();
      why->advice = kWithoutUntil;
      why->ranks.clear();
      return;
    case jobs::JobState::kQueued:
      why->cause =
          "it has not begun: it " + (place.waits.empty() ? "waits for its turn" : place.waits);
      why->advice = AdviceToWait(place.slurm);
      return;
    case jobs::JobState::kCancelled:
      why->cause = status.error;
      why->advice = "nothing; the same command, or `halcyon resume`, goes on with it";
      return;
    case jobs::JobState::kPreempted:
      why->cause = "it was told to stop: " + status.error;
      why->advice = kSameCommand;
      if (!place.waits.empty()) {
        why->cause += "; it " + place.waits;
        why->advice = "nothing: it goes on by itself";
      }
      return;
    case jobs::JobState::kInterrupted:
      why->cause = fmt::format(
          "its coordinator (process {}) ended without a word: kill -9, the kernel for lack of "
          "memory "
          "(exit code 137), or the machine itself",
          status.pid);
      why->advice = kSameCommand;
      if (place.has_orphans) {
        why->cause += "; ranks or agents of it go on, until launch.orphan_grace_s is over";
        why->advice =
            "run the same command again, which takes them over, or end them with "
            "`halcyon cancel " +
            status.job_id + "`";
      }
      return;
    default:
      why->cause = status.error;
      why->advice = AdviceOf(status);
  }
}

// What of a job that runs does not go on; false when there is nothing to tell.
bool ExplainTrouble(const JobStatus& status, Why* why) {
  if (why->ranks.empty()) return false;
  const WorkerStatus& worst = why->ranks.front();
  const VerdictText* const text = TextOf(worst);
  if (text == nullptr) return false;
  why->state = text->state;
  why->since_ms = worst.since_ms;
  const std::string doing = DoingOf(worst);
  why->cause = NameOfWorker(worst) + " " + text->what + (doing.empty() ? "" : ", in " + doing) +
               WhoWaitsFor(worst, status.workers);
  why->advice = text->advice;
  return true;
}

// Of a process on another machine nothing is known but what it writes.
void ExplainSilentCoordinator(const JobStatus& status, int64_t now_ms, const JobPlace& place,
                              Why* why) {
  why->state = "unknown";
  why->since_ms = status.updated_ms;
  const std::string age = FormatDuration(now_ms - status.updated_ms);
  if (place.other_host.empty()) {
    why->cause = fmt::format(
        "its coordinator (process {}) lives, but has not written its state for {}: it is stopped, "
        "or the disk of the state folder does not write",
        status.pid, age);
    why->advice = "look at that process (is it stopped?) and at the disk or file server";
    return;
  }
  why->cause = fmt::format(
      "its coordinator (process {} on {}) has not written its state for {}: it or its machine is "
      "stopped, down or cut off, or the disk of the state folder does not write there",
      status.pid, place.other_host, age);
  why->advice = "look whether " + place.other_host +
                " is up and reaches the state folder; if it is lost, run the same command again";
}

// Its processes are being started, for the first time or again, or what they made is taken in.
void ExplainNobodyAtWork(const StageStatus& running, Why* why) {
  if (running.tasks > 0 && running.tasks_done == running.tasks) {
    why->cause = running.label + ": all tasks are done; what they made is being published";
    return;
  }
  why->state = "starting";
  why->since_ms = std::max(running.started_ms, running.restarted_ms);
  why->cause = fmt::format("no process works on {} at present, {}: they are being started",
                           running.label, HowFar(running)) +
               Restarts(running);
  why->advice =
      "nothing; if it stays so, see what the launcher and the first lines of the workers' logs say "
      "(halcyon logs)";
}

void ExplainRunning(const JobStatus& status, int64_t now_ms, const JobPlace& place, Why* why) {
  if (now_ms - status.updated_ms > kStatusAgeMsMax) {
    ExplainSilentCoordinator(status, now_ms, place, why);
    return;
  }
  if (ExplainTrouble(status, why)) return;
  const StageStatus* const running = StageIn(status, jobs::StageState::kRunning);
  why->since_ms = running == nullptr ? status.started_ms : running->started_ms;
  if (running == nullptr) {
    for (const StageStatus& stage : status.stages) {
      if (stage.state != jobs::StageState::kWaiting || stage.note.empty()) continue;
      why->state = "waiting";
      why->cause = "it waits for " + stage.label + ", " + stage.note;
      why->advice = "nothing: it takes what the other job makes, or makes it when that job ends";
      return;
    }
    why->cause = "it looks for what is made already, or is about to end";
    return;
  }
  if (running->note.starts_with(kWaitsNote)) {
    why->state = "waiting";
    why->cause = running->label + ": " + running->note;
    why->advice =
        "start the members, or look why what starts them does not; `halcyon member` says "
        "how";
    return;
  }
  if (status.workers.empty()) return ExplainNobodyAtWork(*running, why);
  why->cause = "nothing is wrong: " + running->label + " is being made, " + HowFar(*running);
  const auto longest = std::find_if(why->ranks.begin(), why->ranks.end(), [&](const auto& worker) {
    return worker.verdict == "running" && now_ms - worker.since_ms >= kLongMs;
  });
  if (longest != why->ranks.end()) {
    why->cause += fmt::format("; {} is in {} for {}", NameOfWorker(*longest), DoingOf(*longest),
                              FormatDuration(now_ms - longest->since_ms)) +
                  WhoWaitsFor(*longest, status.workers);
  }
  why->cause += Restarts(*running);
}

}  // namespace

Why ExplainJob(const JobStatus& status, int64_t now_ms, const JobPlace& place) {
  Why why;
  why.state = jobs::NameOf(status.state);
  why.ranks = InOrder(status.workers);
  if (status.state == jobs::JobState::kRunning) {
    ExplainRunning(status, now_ms, place, &why);
  } else {
    ExplainEnded(status, place, &why);
  }
  return why;
}

}  // namespace halcyon::coordinator
