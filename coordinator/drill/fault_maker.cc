#include "coordinator/drill/fault_maker.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "coordinator/drill/agent_leases.h"
#include "coordinator/metrics/metrics_follower.h"
#include "coordinator/processes/earlier_gangs.h"
#include "storage/job_journal.h"

namespace halcyon::coordinator {
namespace {

constexpr char kModelLabel[] = "model", kLatentsLabel[] = "latents";
constexpr uint64_t kMetricsTailBytes = 8192;
// A fault of agents comes when agents have done some tasks.
constexpr size_t kLeasesBeforeFault = 4;

std::string LastRank(const FaultPlan& plan) {
  return std::string(kModelLabel) + "-rank-" + std::to_string(plan.ranks - 1);
}

// nullopt before its first step.
std::optional<FaultMoment> TrainingOf(Env& env, const storage::HomeLayout& home,
                                      const StageStatus& model) {
  const std::string path = MetricsPath(env, home, model);
  const auto size = env.FileSize(path);
  if (!size.ok()) return std::nullopt;
  const uint64_t tail = std::min(*size, kMetricsTailBytes);
  const auto text = env.ReadRange(path, *size - tail, tail);
  return text.ok() ? LastStepOf(*text) : std::nullopt;
}

bool IsMade(const StageStatus& stage) {
  return stage.state == jobs::StageState::kDone || stage.state == jobs::StageState::kReused;
}

absl::Status TooLate(const std::string& what) {
  return FailedPrecondition("the fault was not made: " + what);
}

// Makes faults of one job.
class FaultMaker {
 public:
  FaultMaker(Env& env, const storage::HomeLayout& home, const JobStatus& job, const FaultPlan& plan,
             DrillRuns& runs)
      : env_(env), home_(home), job_(job), plan_(plan), runs_(runs) {}

  absl::StatusOr<std::optional<MadeFault>> InLatents() {
    const StageStatus* latents = job_.Find(jobs::StageKind::kLatents);
    if (latents == nullptr) return InvalidArgument("kill-agent needs a model with latents");
    if (IsMade(*latents)) return TooLate("the latents were made too soon; try again");
    if (latents->state != jobs::StageState::kRunning) return std::nullopt;
    const std::vector<AgentLease> leases =
        LeasesIn(CoordinatorLines(env_, home_, job_.job_id), kLatentsLabel);
    if (leases.size() < kLeasesBeforeFault) return std::nullopt;
    MadeFault made;
    made.agent = leases.back().agent;
    return Signalled(std::move(made), FindJobProcess(env_, home_, job_, leases.back().agent),
                     SIGKILL);
  }

  absl::StatusOr<std::optional<MadeFault>> InTraining() {
    const StageStatus* model = job_.Find(jobs::StageKind::kModel);
    if (model == nullptr) return InvalidArgument("the job trains no model");
    if (IsMade(*model)) return TooLate("the model was trained too soon; " + std::string(kDoMore));
    if (model->state != jobs::StageState::kRunning || model->fingerprint.empty()) {
      return std::nullopt;
    }
    MadeFault made;
    made.moment = TrainingOf(env_, home_, *model);
    if (!made.moment) return std::nullopt;
    if (plan_.fault == Fault::kStuckRank) {
      if (!env_.Exists(plan_.marker + "-0")) return std::nullopt;
      made.moment = TrainingOf(env_, home_, *model);
      made.what = "the training thread of " + LastRank(plan_) + " stands still";
      return Complete(std::move(made));
    }
    if (made.moment->step < plan_.step) return std::nullopt;
    return Make(std::move(made));
  }

 private:
  absl::StatusOr<std::optional<MadeFault>> Make(MadeFault made) {
    const std::string& id = job_.job_id;
    switch (plan_.fault) {
      case Fault::kKillRank:
        return Signalled(std::move(made), FindJobProcess(env_, home_, job_, LastRank(plan_)),
                         SIGKILL);
      case Fault::kStopRank:
        return Signalled(std::move(made), FindJobProcess(env_, home_, job_, LastRank(plan_)),
                         SIGSTOP);
      case Fault::kKillLauncher:
        return Signalled(std::move(made),
                         FindJobProcess(env_, home_, job_, LauncherName(kModelLabel)), SIGKILL);
      case Fault::kKillCoordinator:
        return Signalled(std::move(made), CoordinatorOf(env_, home_, id), SIGKILL);
      case Fault::kPreempt:
        made = Complete(std::move(made));
        made.what = "told to stop";
        RETURN_IF_ERROR(runs_.Preempt());
        return made;
      case Fault::kStuckRank:
      case Fault::kKillAgent:
        break;
    }
    return Internal("not a fault of training");
  }

  absl::StatusOr<std::optional<MadeFault>> Signalled(MadeFault made,
                                                     const std::optional<JobProcess>& process,
                                                     int signal) {
    if (!process) return std::nullopt;
    made = Complete(std::move(made));
    made.what = fmt::format("SIG{} to {}", sigabbrev_np(signal), process->ToString());
    RETURN_IF_ERROR(SignalJobProcess(*process, signal, runs_.OnHost()));
    return made;
  }

  MadeFault Complete(MadeFault made) {
    made.processes = RecordedProcesses(env_, home_, job_.job_id);
    made.launch = LaunchOf(env_, home_, job_.job_id);
    return made;
  }

  Env& env_;
  const storage::HomeLayout& home_;
  const JobStatus& job_;
  const FaultPlan& plan_;
  DrillRuns& runs_;
};

}  // namespace

absl::StatusOr<std::optional<MadeFault>> TryToMake(Env& env, const storage::HomeLayout& home,
                                                   const std::string& job_id, const FaultPlan& plan,
                                                   DrillRuns& runs) {
  const auto job = ReadJobStatus(env, home, job_id);
  if (!job.ok()) return std::nullopt;  // it has not begun
  FaultMaker maker(env, home, *job, plan, runs);
  return IsOfAgents(plan.fault) ? maker.InLatents() : maker.InTraining();
}

std::optional<uint64_t> LaunchOf(Env& env, const storage::HomeLayout& home,
                                 const std::string& job_id) {
  const auto history = storage::ReadJobHistory(env, home.Journal(job_id));
  if (!history.ok()) return std::nullopt;
  const auto found = history->gangs.find(kModelLabel);
  if (found == history->gangs.end()) return std::nullopt;
  const auto gang = EarlierGangFromJson(found->second);
  return gang.ok() ? std::optional(gang->launch) : std::nullopt;
}

std::map<std::string, std::string> EnvironmentOf(const FaultPlan& plan) {
  if (plan.fault != Fault::kStuckRank) return {};
  return {{"HALCYON_FAULT_POINT",
           fmt::format("rank {} {} step {}@hang", plan.ranks - 1, kModelLabel, plan.step)},
          {"HALCYON_FAULT_MARKER", plan.marker}};
}

}  // namespace halcyon::coordinator
