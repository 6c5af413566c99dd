// The outside of a running job: executes the effects that coordinator/run/ asks for, and turns what
// happens (messages, ended processes, missing heartbeats, signals, finished work, time) into
// events.
//
// Threads: the owner calls everything. After StartThreads the connection to the workers and the
// work that blocks have a thread each, so that neither delays a heartbeat nor the other; without it
// everything happens on the owner's thread, which lets a test drive a whole job from one.
#ifndef HALCYON_COORDINATOR_JOB_SERVICE_H_
#define HALCYON_COORDINATOR_JOB_SERVICE_H_

#include <spdlog/common.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "coordinator/background.h"
#include "coordinator/job_context.h"
#include "coordinator/job_files.h"
#include "coordinator/processes/processes.h"
#include "coordinator/run/events.h"
#include "coordinator/run/stop_schedule.h"
#include "coordinator/status_board.h"
#include "coordinator/worker_channel.h"

namespace halcyon::coordinator {

class JobService {
 public:
  JobService(const JobContext* context, const jobs::StageGraph* graph);

  void StartThreads();
  void Execute(const Effects& effects);
  // The next thing that happens. Waits for it; a Tick comes when nothing else does.
  Event Next();
  // Waits for the work that is under way. The first error of an effect that no event has told of.
  absl::Status Finish();

  const JobStatus& status() const { return board_.status(); }
  const JobFiles& files() const { return files_; }

 private:
  // One for each kind of effect.
  void Do(const effect::Send& send);
  void Do(const effect::Forget& forget) { channel_.Forget(forget.worker); }
  void Do(const effect::StartAgent& start);
  void Do(const effect::EndAgent& end) { processes_.EndAgent(end.agent); }
  void Do(const effect::CheckJob& check);
  void Do(const effect::FindStage& find);
  void Do(const effect::PrepareStage& prepare);
  void Do(const effect::ReleaseStage& release);
  void Do(const effect::Ingest& ingest);
  void Do(const effect::Install& install);
  void Do(const effect::RereadSources& reread);
  void Do(const effect::PrepareLaunch& prepare);
  void Do(const effect::AdoptGang& adopt);
  void Do(const effect::Launch& launch);
  void Do(const effect::TrackRank& track);
  void Do(const effect::LeaveWorkers&) { processes_.Leave(); }
  void Do(const effect::KillGang& kill) { processes_.KillGang(kill.stage); }
  void Do(const effect::CheckRoom& check);
  void Do(const effect::EndRanks& end);
  void Do(const effect::MoveJob& move) { board_.Move(move); }
  void Do(const effect::MoveStage& move) { board_.Move(move); }
  void Do(const effect::ShowNote& show) { board_.Show(show); }
  void Do(const effect::ShowFingerprint& show) { board_.Show(show); }
  void Do(const effect::ShowTasks& show) { board_.Show(show); }
  void Do(const effect::ShowSteps& show);
  void Do(const effect::ShowRestart& show) { board_.Show(show); }
  void Do(const effect::ShowWorkers& show) { board_.Show(show); }
  void Do(const effect::Tell& tell);
  void Do(const effect::LogInfo& log);
  void Do(const effect::LogWarning& log);
  void Log(spdlog::level::level_enum level, const std::string& line,
           const std::optional<NodeId>& stage);

  // Has `work` done in the background; its event follows.
  template <typename Work>
  void Answer(Work work);
  // The same for work that notes things for a person, who is told them before the event.
  template <typename Work>
  void AnswerWithNotes(Work work);
  // Has work done whose failure alone matters.
  void Post(std::function<absl::Status()> work);
  void Happened(Event event) { events_.push_back(std::move(event)); }
  void LookAround();
  event::StopRequested StopNow();
  absl::Status AgentRoom() const;

  const JobContext* context_;
  const jobs::StageGraph* graph_;
  WorkerChannel channel_;
  Processes processes_;
  JobFiles files_;  // used in the background only, once there is a thread
  StatusBoard board_;
  std::deque<Event> events_;
  StopSchedule stop_schedule_;
  event::StopRequested stop_seen_;
  int pauses_seen_ = 0;
  std::optional<int64_t> looked_ms_, beats_ms_;
  bool channel_broken_ = false;
  Mutex ingests_mutex_;
  std::vector<effect::Ingest> ingests_ ABSL_GUARDED_BY(ingests_mutex_);  // that wait
  Background background_;  // last: its work uses all the others
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_JOB_SERVICE_H_
