#include "coordinator/gang_stage.h"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/disk_space.h"
#include "base/fault_point.h"
#include "coordinator/start_over.h"
#include "storage/checkpoint.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kGangPollMs = 50;
// A rank's last message travels beside its exit: the line must be quiet for so long after it.
constexpr int64_t kLastWordsMs = 500;
// What a rank's shared memory and log take of the disk before it has done anything.
constexpr uint64_t kRankBytes = 8 << 20;

// One launch of the gang.
class GangRun {
 public:
  GangRun(const StageTools& tools, ProcessRegistry* registry,
          const cluster::StageAssignment& assignment, uint64_t launch)
      : tools_(tools),
        context_(*tools.context),
        registry_(registry),
        assignment_(assignment),
        launch_(launch),
        prefix_(assignment.stage + "-rank"),
        stage_(&tools.status->Stage(*jobs::StageFromName(assignment.stage))) {}

  absl::StatusOr<StageOutcome> Run() {
    RETURN_IF_ERROR(Launch());
    while (!exit_) {
      RETURN_IF_ERROR(WatchForStop());
      WatchRanks();
      ASSIGN_OR_RETURN(const auto message, tools_.board->Next(kGangPollMs));
      if (message) RETURN_IF_ERROR(OnMessage(*message));
      tools_.status->Tell();
      exit_ = child_->Poll();
    }
    RETURN_IF_ERROR(HearLastWords());
    // Ranks outlive a launcher that was killed, for a moment; the next launch must not meet them.
    for (const cluster::ProcessIdentity& rank : rank_processes_) cluster::KillProcess(rank);
    for (const WorkerId& rank : ranks_) tools_.board->Forget(rank);
    return Conclude();
  }

 private:
  // MPI's ranks hang rather than fail when their shared memory finds no room.
  absl::Status CheckRoom() {
    const uint64_t needed = kRankBytes * static_cast<uint64_t>(context_.spec.launch.ranks);
    ASSIGN_OR_RETURN(const uint64_t free, FreeBytes(context_.home.root));
    if (free >= needed) return absl::OkStatus();
    return ResourceExhausted(
        context_.home.root + ": No space left on device: " + std::to_string(free >> 20) +
        " MiB are free, starting the ranks takes " + std::to_string(needed >> 20) + " MiB");
  }

  absl::Status Launch() {
    RETURN_IF_ERROR(CheckRoom());
    const std::string logs = context_.home.JobLogs(context_.job.value());
    log_path_ = JoinPath(logs, assignment_.stage + "-launcher.log");
    const auto threads = static_cast<uint32_t>(context_.spec.launch.threads);
    cluster::GangOptions options;
    options.ranks = static_cast<uint32_t>(context_.spec.launch.ranks);
    options.threads = threads;
    options.env = cluster::ReproducibleEnvironment(threads);
    options.log_path = log_path_;
    options.scratch_dir = JoinPath(context_.home.Job(context_.job.value()), "launcher");
    options.argv = {context_.worker_program,
                    "rank",
                    "--endpoint",
                    tools_.board->endpoint(),
                    "--job",
                    context_.job.value(),
                    "--name-prefix",
                    prefix_,
                    "--worker-incarnation",
                    std::to_string(launch_),
                    "--incarnation",
                    std::to_string(context_.incarnation.value()),
                    "--alive-file",
                    context_.home.AliveFile(context_.job.value()),
                    "--log-prefix",
                    JoinPath(logs, prefix_),
                    "--threads",
                    std::to_string(threads)};
    ASSIGN_OR_RETURN(child_, context_.gang_launcher->Launch(options));
    launched_ms_ = context_.clock->MonotonicMs();
    return registry_->Add(assignment_.stage + "-launcher", child_->pid());
  }

  absl::Status OnMessage(const cluster::Message& message) {
    ASSIGN_OR_RETURN(const bool handled, tools_.crew->OnMessage(message));
    if (handled) return absl::OkStatus();
    const bool mine =
        message.worker.incarnation == launch_ && message.worker.name.rfind(prefix_ + "-", 0) == 0;
    if (!mine) {
      spdlog::warn("refused a {} of {}: it is not of this launch", cluster::TypeName(message.body),
                   message.worker.name);
      tools_.board->Forget(message.worker);
      return absl::OkStatus();
    }
    if (const auto* hello = std::get_if<cluster::Hello>(&message.body)) {
      ranks_.insert(message.worker);
      const auto pid = static_cast<pid_t>(hello->pid);
      if (const auto process = cluster::IdentityOfProcess(pid)) rank_processes_.push_back(*process);
      RETURN_IF_ERROR(registry_->Add(message.worker.name, pid));
      RETURN_IF_ERROR(tools_.board->Send(message.worker, cluster::Welcome{assignment_}));
      // A rank that came after the Stop must hear it too.
      return stop_sent_ms_ ? tools_.board->Send(message.worker, StopMessage()) : absl::OkStatus();
    }
    if (const auto* progress = std::get_if<cluster::TrainProgress>(&message.body)) {
      return OnProgress(*progress);
    }
    if (const auto* ended = std::get_if<cluster::RankEnded>(&message.body)) {
      OnEnded(*ended, message.worker);
    }
    return absl::OkStatus();
  }

  absl::Status OnProgress(const cluster::TrainProgress& progress) {
    FaultPoint("coordinator progress " + assignment_.stage);
    stage_->step = progress.step;
    stage_->steps = progress.steps;
    if (progress.steps > 0) {
      stage_->fraction = static_cast<double>(progress.step) / static_cast<double>(progress.steps);
    }
    if (!started_) stage_->start_fraction = stage_->fraction;
    started_ = true;
    if (!progress.figures.is_object()) return absl::OkStatus();
    try {
      SayHowItResumes(progress.figures);
    } catch (const nlohmann::json::exception& error) {
      return Internal(std::string("figures of rank 0: ") + error.what());
    }
    stage_->figures.update(progress.figures);
    return absl::OkStatus();
  }

  void SayHowItResumes(const nlohmann::json& figures) {
    for (const auto& reason : figures.value("rejected_checkpoints", std::vector<std::string>())) {
      context_.observer->Say(assignment_.stage + ": checkpoint passed over: " + reason);
    }
    if (const auto step = figures.value("resumed_from", uint64_t{0}); step > 0) {
      context_.observer->Say(assignment_.stage + ": goes on from step " + std::to_string(step));
    }
    for (const auto& [name, change] :
         figures.value("bits_may_differ", std::map<std::string, std::string>())) {
      context_.observer->Say(assignment_.stage + ": " + name + " changed since the checkpoint (" +
                             change + "): the last bits of the weights may differ");
    }
  }

  void OnEnded(const cluster::RankEnded& ended, const WorkerId& worker) {
    tools_.board->Forget(worker);
    if (ended.code == 0) {
      if (ended.rank == 0) result_ = ended.result;
      return;
    }
    if (!failed_ms_) failed_ms_ = context_.clock->MonotonicMs();
    const absl::Status status =
        MakeStatus(static_cast<absl::StatusCode>(ended.code),
                   "rank " + std::to_string(ended.rank) + ": " + ended.message);
    // A rank that only noticed the end of another says less than that other.
    if (failure_.ok() || (EndsJob(status.code()) && !EndsJob(failure_.code()))) failure_ = status;
  }

  // Kills a gang that does not come up, hangs, or does not end.
  void WatchRanks() {
    const int64_t now_ms = context_.clock->MonotonicMs();
    if (ranks_.size() < static_cast<size_t>(context_.spec.launch.ranks) &&
        now_ms - launched_ms_ > kGangStartMsMax) {
      Kill("only " + std::to_string(ranks_.size()) + " of " +
           std::to_string(context_.spec.launch.ranks) + " ranks came up");
    }
    for (const WorkerId& worker : tools_.board->Silent()) {
      if (!ranks_.contains(worker)) continue;
      const std::string phase = tools_.board->PhaseOf(worker);
      Kill(worker.name + " fell silent" + (phase.empty() ? "" : " in " + phase));
      tools_.board->Forget(worker);
    }
    if (failed_ms_ && now_ms - *failed_ms_ > kGangEndMsMax) Kill("the other ranks did not end");
  }

  absl::Status WatchForStop() {
    const int stops = context_.stop_requests();
    const int64_t now_ms = context_.clock->MonotonicMs();
    if (stops > 0 && !stop_sent_ms_) {
      stop_sent_ms_ = now_ms;
      context_.observer->Say("stopping: the ranks save and end (again: ends at once)");
      for (const WorkerId& rank : ranks_) {
        RETURN_IF_ERROR(tools_.board->Send(rank, StopMessage()));
      }
    }
    if (stop_sent_ms_ && (stops > 1 || now_ms - *stop_sent_ms_ > kGangStopMsMax)) {
      Kill("stopped without having saved");
    }
    return absl::OkStatus();
  }

  void Kill(const std::string& why) {
    if (failure_.ok()) failure_ = Unavailable(why);
    spdlog::warn("{}: killed: {}", assignment_.stage, why);
    child_->SignalGroup(SIGKILL);
  }

  absl::Status HearLastWords() {
    while (true) {
      ASSIGN_OR_RETURN(const auto message, tools_.board->Next(kLastWordsMs));
      if (!message) return absl::OkStatus();
      RETURN_IF_ERROR(OnMessage(*message));
    }
  }

  absl::StatusOr<StageOutcome> Conclude() {
    if (exit_->ok() && result_) return OutcomeFromResult(*result_);
    if (stop_sent_ms_) return StoppedStatus();
    if (!failure_.ok()) return failure_;
    if (exit_->ok()) return Unavailable("the ranks ended without a result; see " + log_path_);
    return Unavailable("the launcher ended with " + exit_->ToString() + "; see " + log_path_);
  }

  static cluster::Body StopMessage() { return cluster::Stop{"the job was told to stop"}; }

  const StageTools& tools_;
  const JobContext& context_;
  ProcessRegistry* registry_;
  const cluster::StageAssignment& assignment_;
  const uint64_t launch_;
  const std::string prefix_;
  StageStatus* stage_;
  std::string log_path_;
  std::unique_ptr<cluster::ChildProcess> child_;
  std::optional<cluster::ExitStatus> exit_;
  std::set<WorkerId> ranks_;
  std::vector<cluster::ProcessIdentity> rank_processes_;
  std::optional<nlohmann::json> result_;
  absl::Status failure_;
  bool started_ = false;
  int64_t launched_ms_ = 0;
  std::optional<int64_t> stop_sent_ms_, failed_ms_;
};

}  // namespace

absl::StatusOr<StageOutcome> RunGangStage(const StageTools& tools, ProcessRegistry* registry,
                                          const cluster::StageAssignment& assignment) {
  const JobContext& context = *tools.context;
  const std::string checkpoints = JoinPath(assignment.work_dir, kCheckpointsFolder);
  RETURN_IF_ERROR(context.env->CreateDirs(checkpoints));
  for (int64_t launch = 1;; ++launch) {
    RETURN_IF_ERROR(
        storage::CheckpointStore(*context.env, checkpoints).Fence(context.incarnation.value()));
    auto outcome = GangRun(tools, registry, assignment, static_cast<uint64_t>(launch)).Run();
    const absl::Status& status = outcome.status();
    if (status.ok() || EndsJob(status.code()) || context.stop_requests() > 0) return outcome;
    if (launch > context.spec.launch.restarts_max) {
      return Internal("failed " + std::to_string(launch) + " times, last: " + MessageOf(status));
    }
    context.observer->Say(assignment.stage +
                          ": launched again, it resumes from its last checkpoint (" +
                          MessageOf(status) + ")");
  }
}

}  // namespace halcyon::coordinator
