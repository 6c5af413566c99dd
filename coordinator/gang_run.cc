#include "coordinator/gang_run.h"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/disk_space.h"
#include "base/fault_point.h"
#include "cluster/coordinator_link.h"
#include "cluster/outputs.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kGangPollMs = 50;
// A rank's last message may come after its exit: without a message for so long, no more are
// expected.
constexpr int64_t kQuietMs = 500;
constexpr int64_t kRankEndMsMax = 10000;
constexpr int64_t kRankEndPollMs = 10;
// What a rank's shared memory and log take of the disk before it has done anything.
constexpr DiskRoom kRankRoom{8 << 20, 16};
// With less, ranks that are being started hang rather than fail: they wait for shared memory.
constexpr DiskRoom kStartingRoom{1 << 20, 1};
constexpr int64_t kRoomIntervalMs = 1000;

// The process that a Hello names, when it is proven to be of the gang below `launcher`.
std::optional<cluster::ProcessIdentity> ProvenProcess(const cluster::Hello& hello, pid_t launcher) {
  if (hello.boot_id != cluster::BootId() || !std::in_range<pid_t>(hello.pid)) return std::nullopt;
  const cluster::ProcessIdentity process{static_cast<pid_t>(hello.pid), hello.start_time};
  if (!cluster::DescendsFrom(process, launcher)) return std::nullopt;
  return process;
}

std::string LogPath(const JobContext& context, const std::string& stage) {
  return JoinPath(context.home.JobLogs(context.job.value()), stage + "-launcher.log");
}

cluster::Body StopMessage() { return cluster::Stop{"the job was told to stop"}; }

}  // namespace

GangRun::GangRun(const StageTools& tools, ProcessRegistry* registry,
                 const cluster::StageAssignment& assignment)
    : tools_(tools),
      context_(*tools.context),
      registry_(registry),
      assignment_(assignment),
      prefix_(assignment.stage + "-rank"),
      ranks_wanted_(static_cast<size_t>(context_.spec.launch.ranks)),
      stage_(&tools.status->Stage(*jobs::StageFromName(assignment.stage))),
      log_(*context_.env, LogPath(context_, assignment.stage)) {}

absl::StatusOr<StageOutcome> GangRun::Run() {
  RETURN_IF_ERROR(Launch());
  while (!exit_) {
    NotePauses();
    RETURN_IF_ERROR(WatchForStop());
    WatchRanks();
    WatchRoom();
    ASSIGN_OR_RETURN(const auto message, tools_.channel->Next(kGangPollMs));
    if (message) RETURN_IF_ERROR(OnMessage(*message));
    tools_.status->Publish();
    exit_ = child_->Poll();
  }
  RETURN_IF_ERROR(ReadLastMessages());
  NotePauses();
  EndRemainingRanks();
  return Conclude();
}

EndCause GangRun::end_cause() const {
  const int64_t now_ms = context_.clock->MonotonicMs();
  // Ranks end when their coordinator was stopped and so sent nothing.
  if (paused_ms_ && now_ms - *paused_ms_ < 2 * cluster::kHeartbeatTimeoutMs) {
    return EndCause::kOwnPause;
  }
  return all_came_up() ? EndCause::kFailure : EndCause::kBeforeHello;
}

absl::Status GangRun::CheckRoomFor(const DiskRoom& needed) const {
  ASSIGN_OR_RETURN(const DiskRoom free, context_.free_room(context_.home.root));
  return CheckRoom(free, needed, context_.home.root, "starting the ranks");
}

cluster::GangOptions GangRun::Options() const {
  const std::string job_dir = context_.home.Job(context_.job.value());
  const auto threads = static_cast<uint32_t>(context_.spec.launch.threads);
  cluster::GangOptions options;
  options.ranks = static_cast<uint32_t>(context_.spec.launch.ranks);
  options.threads = threads;
  options.env = cluster::ReproducibleEnvironment(threads, context_.spec.launch.arithmetic);
  options.log_path = log_.path();
  options.scratch_dir = LauncherScratchDir(context_);
  options.working_dir = job_dir;
  options.argv = {context_.worker_program,
                  "rank",
                  "--endpoint",
                  tools_.channel->endpoint(),
                  "--job",
                  context_.job.value(),
                  "--name-prefix",
                  prefix_,
                  "--worker-incarnation",
                  std::to_string(assignment_.launch),
                  "--incarnation",
                  std::to_string(context_.incarnation.value()),
                  "--alive-file",
                  context_.home.AliveFile(context_.job.value()),
                  "--log-prefix",
                  JoinPath(context_.home.JobLogs(context_.job.value()), prefix_),
                  "--threads",
                  std::to_string(threads)};
  return options;
}

absl::Status GangRun::Launch() {
  // MPI's ranks hang rather than fail when their shared memory finds no room.
  RETURN_IF_ERROR(CheckRoomFor({kRankRoom.bytes * ranks_wanted_, kRankRoom.files * ranks_wanted_}));
  ASSIGN_OR_RETURN(child_, context_.gang_launcher->Launch(Options()));
  launched_ms_ = last_message_ms_ = context_.clock->MonotonicMs();
  pauses_seen_ = tools_.channel->pauses();
  return registry_->Add(assignment_.stage + "-launcher", child_->pid());
}

absl::Status GangRun::OnMessage(const cluster::Message& message) {
  ASSIGN_OR_RETURN(const bool handled, tools_.agents->OnMessage(message));
  if (handled) return absl::OkStatus();
  const bool mine = message.worker.incarnation == assignment_.launch &&
                    message.worker.name.rfind(prefix_ + "-", 0) == 0;
  if (!mine) {
    spdlog::warn("refused a {} of {}: it is not of this launch", cluster::TypeName(message.body),
                 message.worker.name);
    tools_.channel->Forget(message.worker);
    return absl::OkStatus();
  }
  last_message_ms_ = context_.clock->MonotonicMs();
  if (const auto* hello = std::get_if<cluster::Hello>(&message.body)) {
    return OnHello(*hello, message.worker);
  }
  if (const auto* progress = std::get_if<cluster::TrainProgress>(&message.body)) {
    return OnProgress(*progress);
  }
  if (const auto* ended = std::get_if<cluster::RankEnded>(&message.body)) {
    OnEnded(*ended, message.worker);
  }
  return absl::OkStatus();
}

absl::Status GangRun::OnHello(const cluster::Hello& hello, const WorkerId& worker) {
  if (ranks_.insert(worker).second) ++came_up_;
  if (const auto process = ProvenProcess(hello, child_->pid())) {
    rank_processes_.push_back(*process);
    RETURN_IF_ERROR(registry_->Add(worker.name, process->pid));
  } else {
    spdlog::warn("{}: process {} is not of this launch; it is not killed", worker.name, hello.pid);
  }
  RETURN_IF_ERROR(tools_.channel->Send(worker, cluster::Welcome{assignment_}));
  // A rank that came after the Stop must get it too.
  return stop_sent_ ? tools_.channel->Send(worker, StopMessage()) : absl::OkStatus();
}

absl::Status GangRun::OnProgress(const cluster::TrainProgress& progress) {
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
    ReportResumption(progress.figures);
  } catch (const nlohmann::json::exception& error) {
    return Internal(std::string("figures of rank 0: ") + error.what());
  }
  stage_->figures.update(progress.figures);
  return absl::OkStatus();
}

void GangRun::ReportResumption(const nlohmann::json& figures) {
  for (const auto& notice : figures.value("notices", std::vector<std::string>())) {
    context_.observer->Notify(assignment_.stage + ": " + notice);
  }
  for (const auto& reason : figures.value("rejected_checkpoints", std::vector<std::string>())) {
    context_.observer->Notify(assignment_.stage + ": checkpoint passed over: " + reason);
  }
  if (const auto step = figures.value("resumed_from", uint64_t{0}); step > 0) {
    context_.observer->Notify(assignment_.stage + ": goes on from step " + std::to_string(step));
  }
  for (const auto& [name, change] :
       figures.value("bits_may_differ", std::map<std::string, std::string>())) {
    context_.observer->Notify(assignment_.stage + ": " + name + " changed since the checkpoint (" +
                              change + "): the last bits of the weights may differ");
  }
}

void GangRun::OnEnded(const cluster::RankEnded& ended, const WorkerId& worker) {
  tools_.channel->Forget(worker);
  if (ranks_.erase(worker) > 0) ++ended_;
  if (ended.code == 0) {
    if (ended.rank == 0) result_ = ended.result;
    return;
  }
  if (!failed_ms_) failed_ms_ = context_.clock->MonotonicMs();
  const absl::Status status = MakeStatus(
      static_cast<absl::StatusCode>(ended.code),
      "rank " + std::to_string(ended.rank) + ": " + ended.message + MemoryHint(ended.message));
  // The first error may be that of a rank that only noticed another's end; the other's own is
  // better.
  if (failure_.ok() || (EndsJob(status.code()) && !EndsJob(failure_.code()))) failure_ = status;
}

void GangRun::NotePauses() {
  const int pauses = tools_.channel->pauses();
  if (pauses == pauses_seen_) return;
  pauses_seen_ = pauses;
  // This process could not act during the pause, so the time limits start anew.
  const int64_t now_ms = context_.clock->MonotonicMs();
  paused_ms_ = launched_ms_ = now_ms;
  if (failed_ms_) failed_ms_ = now_ms;
}

// Kills a gang that does not come up, hangs, or does not end.
void GangRun::WatchRanks() {
  const int64_t now_ms = context_.clock->MonotonicMs();
  if (!all_came_up() && now_ms - launched_ms_ > kGangStartMsMax) {
    Kill(Unavailable("only " + std::to_string(came_up_) + " of " + std::to_string(ranks_wanted_) +
                     " ranks came up in " + std::to_string(kGangStartMsMax / 1000) + " s"));
  }
  for (const WorkerChannel::Suspect& suspect : tools_.channel->Suspects()) {
    if (!ranks_.contains(suspect.worker)) continue;
    Kill(Unavailable(suspect.worker.name + " " + suspect.why));
    tools_.channel->Forget(suspect.worker);
  }
  if (failed_ms_ && now_ms - *failed_ms_ > kGangEndMsMax) {
    Kill(Unavailable("the other ranks did not end"));
  }
}

void GangRun::WatchRoom() {
  const int64_t now_ms = context_.clock->MonotonicMs();
  if (all_came_up() || killed_ || now_ms - room_checked_ms_ < kRoomIntervalMs) return;
  room_checked_ms_ = now_ms;
  if (const absl::Status room = CheckRoomFor(kStartingRoom); absl::IsResourceExhausted(room)) {
    Kill(room);
  }
}

absl::Status GangRun::WatchForStop() {
  const int requests = context_.stop_requests();
  if (requests > 0 && !stop_sent_) {
    stop_sent_ = true;
    context_.observer->Notify(
        "stopping: the ranks finish their step and save it (a second signal ends them at once)");
    for (const WorkerId& rank : ranks_) {
      RETURN_IF_ERROR(tools_.channel->Send(rank, StopMessage()));
    }
  }
  if (requests > 1 && !killed_) Kill(Unavailable("stopped before it had saved"));
  return absl::OkStatus();
}

void GangRun::Kill(const absl::Status& why) {
  if (failure_.ok()) failure_ = why;
  spdlog::warn("{}: killed: {}", assignment_.stage, MessageOf(why));
  killed_ = true;
  child_->SignalGroup(SIGKILL);
}

absl::Status GangRun::ReadLastMessages() {
  const int64_t deadline_ms = context_.clock->MonotonicMs() + kLastMessagesMsMax;
  last_message_ms_ = context_.clock->MonotonicMs();
  // Only messages of this launch prolong the wait, and they only to a point.
  while (ended_ < ranks_wanted_ && context_.stop_requests() < 2) {
    const int64_t now_ms = context_.clock->MonotonicMs();
    if (now_ms >= deadline_ms || now_ms - last_message_ms_ >= kQuietMs) break;
    ASSIGN_OR_RETURN(const auto message, tools_.channel->Next(kGangPollMs));
    if (message) RETURN_IF_ERROR(OnMessage(*message));
  }
  return absl::OkStatus();
}

// Ranks outlive a launcher that was killed, for a moment; the next launch must not run beside them.
void GangRun::EndRemainingRanks() {
  for (const cluster::ProcessIdentity& rank : rank_processes_) cluster::KillProcess(rank);
  const auto all_gone = [this] {
    return std::none_of(rank_processes_.begin(), rank_processes_.end(), cluster::IsAlive);
  };
  if (!context_.clock->WaitFor(all_gone, kRankEndMsMax, kRankEndPollMs)) {
    // It hangs in the kernel. What it still writes is refused by its fence.
    spdlog::warn("{}: a rank that was killed does not end", assignment_.stage);
  }
  for (const WorkerId& rank : ranks_) tools_.channel->Forget(rank);
}

absl::StatusOr<StageOutcome> GangRun::Conclude() {
  if (exit_->ok() && result_) {
    return OutcomeFromResult(*result_, cluster::GangOutputDir(assignment_));
  }
  // A rank's own error explains more than the launcher's end; that it stopped sending does not.
  if (!failure_.ok()) return failure_;
  if (const absl::Status room = CheckRoomFor(kStartingRoom); absl::IsResourceExhausted(room)) {
    return room;
  }
  if (exit_->ok()) return Unavailable("the ranks ended without a result; see " + log_.path());
  return ChildEndStatus("the launcher", *exit_, log_);
}

}  // namespace halcyon::coordinator
