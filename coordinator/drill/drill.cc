#include "coordinator/drill/drill.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "cluster/allocation.h"
#include "coordinator/drill/agent_leases.h"
#include "coordinator/drill/drill_job.h"
#include "coordinator/drill/drill_runs.h"
#include "coordinator/drill/fault_maker.h"
#include "coordinator/metrics/metrics_follower.h"
#include "coordinator/run_job.h"
#include "coordinator/submit/submit_job.h"
#include "jobs/spec_overrides.h"

namespace halcyon::coordinator {
namespace {

constexpr char kUndisturbed[] = "undisturbed";
// Of the model's steps a fault comes after 11 in 20: between two checkpoints, so that something is
// lost.
constexpr uint64_t kFaultAt = 11, kFaultOf = 20;
constexpr int64_t kLookMs = 20;
constexpr int64_t kLookBySlurmMs = 200;
constexpr int64_t kEndsWithinMs = 10'000;
// What stands still is found after six times as much, since nothing is known of it: steps are too
// short for heartbeats to see.
constexpr char kHangFloorKey[] = "launch.hang_floor_s";
constexpr char kHangFloorSeconds[] = "3";

class Drill {
 public:
  Drill(Env& env, Clock& clock, const DrillOptions& options,
        const std::function<void(const std::string&)>& tell,
        const std::function<bool()>& has_to_stop)
      : env_(env), clock_(clock), options_(options), tell_(tell), has_to_stop_(has_to_stop) {}

  // Makes the drill's folder, unless an option is bad.
  absl::Status Prepare();
  absl::Status RunUndisturbed();
  // kAborted: the drill has to stop.
  absl::StatusOr<std::vector<FaultOutcome>> RunFaults();

  const DrillFolder& folder() const { return folder_; }

 private:
  absl::Status Choose();
  absl::StatusOr<FaultOutcome> RunFault(Fault fault);
  absl::Status StartJob(const std::string& name, const FaultPlan* plan);
  // Waits until the job is done, or has failed; `look` is called before each look at it, and ends
  // the job when it fails. kAborted: the drill has to stop.
  absl::Status WaitForEnd(const std::function<absl::Status()>& look);
  absl::Status Hit(const FaultPlan& plan, std::optional<MadeFault>* made);
  void Measure(const FaultPlan& plan, const MadeFault& made, FaultOutcome* outcome);
  std::string DetectionOf(const FaultPlan& plan, const MadeFault& made, const JobStatus& job) const;
  std::vector<std::string> LeftRunning(const MadeFault& made);

  storage::HomeLayout home() const { return folder_.home(); }
  std::string job_id() const {
    return JobIdOf(name_, AbsolutePath(folder_.JobFile(name_))).value();
  }

  Env& env_;
  Clock& clock_;
  const DrillOptions& options_;
  const std::function<void(const std::string&)>& tell_;
  const std::function<bool()>& has_to_stop_;

  DrillFolder folder_;
  DrillPlace place_ = DrillPlace::kMachine;
  std::vector<Fault> faults_;
  int64_t ranks_ = 0;
  uint64_t steps_ = 0;
  std::unique_ptr<DrillRuns> runs_;
  std::string name_;     // of the present job
  std::string weights_;  // of the undisturbed one
  // Of the present job, by the monotonic clock.
  std::optional<int64_t> hit_ms_, agents_back_ms_;
};

absl::Status Drill::Choose() {
  place_ = options_.by_slurm ? DrillPlace::kSlurm : DrillPlace::kMachine;
  RETURN_IF_ERROR(
      WriteFileAtomically(env_, folder_.JobFile(kUndisturbed), DrillJobText(kUndisturbed, place_)));
  ASSIGN_OR_RETURN(const auto overrides, jobs::ParseOverrides(options_.set));
  ASSIGN_OR_RETURN(const jobs::JobSpec spec,
                   jobs::LoadJobSpec(folder_.JobFile(kUndisturbed), overrides));
  ranks_ = spec.launch.ranks;
  steps_ = static_cast<uint64_t>(spec.train.steps);
  if (options_.by_slurm) {
    runs_ = MakeSlurmRuns(env_, folder_);
  } else {
    ASSIGN_OR_RETURN(const cluster::Allocation allocation,
                     cluster::FindAllocation(spec.launch, cluster::Surroundings::OfThisProcess()));
    ASSIGN_OR_RETURN(const std::string program, OwnProgram());
    if (!allocation.hosts.empty()) place_ = DrillPlace::kHosts;
    runs_ = MakeLocalRuns(env_, folder_, allocation, spec.launch.placement.rsh_agent, program);
  }
  ASSIGN_OR_RETURN(faults_, ParseFaults(options_.faults, place_));
  return absl::OkStatus();
}

absl::Status Drill::Prepare() {
  ASSIGN_OR_RETURN(folder_, MakeDrillFolder(env_, options_.home));
  const absl::Status chosen = Choose();
  if (!chosen.ok()) env_.RemoveTree(folder_.root).IgnoreError();
  return chosen;
}

absl::Status Drill::StartJob(const std::string& name, const FaultPlan* plan) {
  name_ = name;
  hit_ms_.reset();
  agents_back_ms_.reset();
  DrillRun run{.job_file = folder_.JobFile(name), .set = options_.set, .env = {}};
  RETURN_IF_ERROR(WriteFileAtomically(env_, run.job_file, DrillJobText(name, place_)));
  if (plan != nullptr) {
    run.env = EnvironmentOf(*plan);
    const std::string floor = std::string(kHangFloorKey) + "=";
    const bool is_set = std::any_of(run.set.begin(), run.set.end(), [&](const std::string& word) {
      return word.starts_with(floor);
    });
    if (plan->fault == Fault::kStuckRank && !is_set) run.set.push_back(floor + kHangFloorSeconds);
  }
  return runs_->Start(run);
}

absl::Status Drill::WaitForEnd(const std::function<absl::Status()>& look) {
  const int64_t limit_ms = 1000 * options_.seconds_max;
  while (true) {
    absl::Status seen = has_to_stop_() ? Aborted("stopped; the drill's job was ended") : look();
    if (seen.ok() && hit_ms_ && limit_ms > 0 && clock_.MonotonicMs() - *hit_ms_ > limit_ms) {
      seen = Unavailable(fmt::format("not back within {} s; ended", options_.seconds_max));
    }
    if (!seen.ok()) {
      runs_->Abandon();
      return seen;
    }
    if (auto end = runs_->Poll()) return std::move(*end);
    clock_.SleepMs(options_.by_slurm ? kLookBySlurmMs : kLookMs);
  }
}

absl::Status Drill::RunUndisturbed() {
  tell_("undisturbed: a job to compare with");
  RETURN_IF_ERROR(StartJob(kUndisturbed, nullptr));
  const int64_t started_ms = clock_.MonotonicMs();
  RETURN_IF_ERROR(WaitForEnd([] { return absl::OkStatus(); }), "the undisturbed job");
  ASSIGN_OR_RETURN(const JobStatus job, ReadJobStatus(env_, home(), job_id()));
  ASSIGN_OR_RETURN(weights_, DigestOfWeights(env_, home(), job));
  tell_(fmt::format("undisturbed: done in {} s", (clock_.MonotonicMs() - started_ms) / 1000));
  return absl::OkStatus();
}

// Makes the fault when its moment has come, and afterwards looks whether agents go on.
absl::Status Drill::Hit(const FaultPlan& plan, std::optional<MadeFault>* made) {
  if (!made->has_value()) {
    ASSIGN_OR_RETURN(*made, TryToMake(env_, home(), job_id(), plan, *runs_));
    if (!made->has_value()) return absl::OkStatus();
    hit_ms_ = clock_.MonotonicMs();
    const MadeFault& one = **made;
    tell_(fmt::format("{}: {}{}", NameOf(plan.fault), one.what,
                      one.moment ? fmt::format(", step {}", one.moment->step) : ""));
    return absl::OkStatus();
  }
  if (!IsOfAgents(plan.fault) || agents_back_ms_) return absl::OkStatus();
  if (IsWorkGivenOutAgain(CoordinatorLines(env_, home(), job_id()),
                          std::string(StageName(jobs::StageKind::kLatents)), (*made)->agent)) {
    agents_back_ms_ = clock_.MonotonicMs();
  }
  return absl::OkStatus();
}

std::string Drill::DetectionOf(const FaultPlan& plan, const MadeFault& made,
                               const JobStatus& job) const {
  const StageStatus* model = job.Find(jobs::StageKind::kModel);
  const std::vector<std::string> ends = runs_->Ends();
  switch (plan.fault) {
    case Fault::kKillAgent:
      return WarningAbout(CoordinatorLines(env_, home(), job_id()), made.agent);
    case Fault::kPreempt:
      return ends.empty() ? "" : ends.front();
    case Fault::kKillCoordinator: {
      if (ends.empty()) return "";
      const bool adopted = made.launch && LaunchOf(env_, home(), job_id()) == made.launch;
      return "the coordinator: " + ends.front() +
             (adopted ? "; the next one adopted the ranks" : "; the next one launched others");
    }
    case Fault::kKillRank:
    case Fault::kStopRank:
    case Fault::kStuckRank:
    case Fault::kKillLauncher:
      break;
  }
  return model == nullptr ? "" : model->restart_why;
}

void Drill::Measure(const FaultPlan& plan, const MadeFault& made, FaultOutcome* outcome) {
  const auto job = ReadJobStatus(env_, home(), job_id());
  if (!job.ok()) return;
  outcome->detected = DetectionOf(plan, made, *job);
  if (outcome->detected.empty()) outcome->error = "the coordinator did not notice it";
  if (const auto weights = DigestOfWeights(env_, home(), *job); weights.ok()) {
    outcome->weights_equal = *weights == weights_;
  }
  if (agents_back_ms_ && hit_ms_) {
    outcome->seconds = static_cast<double>(*agents_back_ms_ - *hit_ms_) / 1000;
  }
  if (!made.moment) return;
  const auto metrics =
      env_.ReadFile(MetricsPath(env_, home(), *job->Find(jobs::StageKind::kModel)));
  if (!metrics.ok()) return;
  const FaultCost cost = CostOf(*made.moment, ParseMetrics(*metrics));
  outcome->steps_lost = cost.steps_lost;
  outcome->seconds = cost.seconds;
}

std::vector<std::string> Drill::LeftRunning(const MadeFault& made) {
  std::vector<std::string> left;
  clock_.WaitFor(
      [&] {
        left = runs_->LeftRunning();
        for (const JobProcess& process : made.processes) {
          if (process.is_here && IsAlive(process.process)) left.push_back(process.ToString());
        }
        return left.empty();
      },
      kEndsWithinMs);
  std::sort(left.begin(), left.end());
  left.erase(std::unique(left.begin(), left.end()), left.end());
  return left;
}

absl::StatusOr<FaultOutcome> Drill::RunFault(Fault fault) {
  FaultPlan plan{.fault = fault, .ranks = ranks_};
  plan.step = std::max<uint64_t>(1, steps_ * kFaultAt / kFaultOf);
  plan.marker = JoinPath(folder_.root, std::string(NameOf(fault)) + "-made");
  std::vector<jobs::StageKind> again = {jobs::StageKind::kModel};
  if (IsOfAgents(fault)) again.push_back(jobs::StageKind::kLatents);
  RETURN_IF_ERROR(RemoveStages(env_, home(), again));
  tell_(fmt::format("{}: {}", NameOf(fault), DescriptionOf(fault)));

  FaultOutcome outcome{.fault = fault};
  std::optional<MadeFault> made;
  absl::Status end = StartJob(std::string(NameOf(fault)), &plan);
  if (end.ok()) end = WaitForEnd([&] { return Hit(plan, &made); });
  if (absl::IsAborted(end)) return end;
  if (made) {
    outcome.made = made->what;
    outcome.step = made->moment ? made->moment->step : 0;
    Measure(plan, *made, &outcome);
  }
  outcome.left_running = LeftRunning(made.value_or(MadeFault()));
  if (!end.ok()) {
    outcome.error = MessageOf(end);
  } else if (!made) {
    outcome.error = "the job was done before the fault could be made; " + std::string(kDoMore);
  }
  return outcome;
}

absl::StatusOr<std::vector<FaultOutcome>> Drill::RunFaults() {
  std::vector<FaultOutcome> outcomes;
  for (const Fault fault : faults_) {
    ASSIGN_OR_RETURN(FaultOutcome outcome, RunFault(fault));
    tell_(fmt::format("{}: {}", NameOf(fault),
                      outcome.ok() ? "survived, with the same weights" : outcome.Failure()));
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

}  // namespace

absl::StatusOr<DrillResult> RunDrill(Env& env, Clock& clock, const DrillOptions& options,
                                     const std::function<void(const std::string&)>& tell,
                                     const std::function<bool()>& has_to_stop) {
  DrillResult result;
  Drill drill(env, clock, options, tell, has_to_stop);
  RETURN_IF_ERROR(drill.Prepare());
  const std::string kept = "; its files are in " + drill.folder().root;
  if (const absl::Status whole = drill.RunUndisturbed(); !whole.ok()) {
    return absl::Status(whole.code(), MessageOf(whole) + kept);
  }
  auto outcomes = drill.RunFaults();
  if (!outcomes.ok()) {
    return absl::Status(outcomes.status().code(), MessageOf(outcomes.status()) + kept);
  }
  result = {drill.folder().root, *std::move(outcomes)};
  if (options.keep || !VerdictOf(result.outcomes).ok()) return result;
  RETURN_IF_ERROR(env.RemoveTree(result.folder));
  result.folder.clear();
  return result;
}

}  // namespace halcyon::coordinator
