#include "coordinator/job_service.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/fault_point.h"
#include "base/logging.h"
#include "cluster/coordinator_link.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kTickMs = 50;
// With less, an agent cannot even begin its log.
constexpr DiskRoom kAgentRoom{1 << 20, 16};

// How long saving took in the run before.
int64_t EarlierSaveMs(const JobContext& context) {
  const auto before = ReadJobStatus(*context.env, context.home, context.job.value());
  return before.ok() ? SaveMsOf(*before) : 0;
}

}  // namespace

JobService::JobService(const JobContext* context, const jobs::StageGraph* graph)
    : context_(context),
      graph_(graph),
      channel_(context->transport, context->clock, context->job, context->incarnation),
      processes_(context, [this](auto work) { Post(std::move(work)); }),
      files_(context, graph),
      board_(context, *graph, [this](auto work) { Post(std::move(work)); }),
      stop_schedule_(1000 * context->spec.launch.stop_grace_s,
                     1000 * context->spec.launch.stop_margin_s, EarlierSaveMs(*context)) {}

void JobService::StartThreads() {
  channel_.StartThread();
  background_.StartThread([this] { channel_.Wake(); });
}

void JobService::Execute(const Effects& effects) {
  for (const Effect& effect : effects) {
    std::visit([this](const auto& one) { Do(one); }, effect);
  }
  board_.Publish();
}

Event JobService::Next() {
  while (true) {
    background_.Collect();
    const event::StopRequested stop = StopNow();
    if (stop.requests != stop_seen_.requests || stop.cancel != stop_seen_.cancel) {
      stop_seen_ = stop;
      return stop;
    }
    // Before any event that a pause may have caused.
    if (const int pauses = channel_.pauses(); pauses != pauses_seen_) {
      pauses_seen_ = pauses;
      return event::Paused{};
    }
    if (!events_.empty()) {
      Event event = std::move(events_.front());
      events_.pop_front();
      return event;
    }
    const int64_t now_ms = context_->clock->MonotonicMs();
    if (!looked_ms_ || now_ms - *looked_ms_ >= kTickMs) {
      looked_ms_ = now_ms;
      LookAround();
      continue;
    }
    const int64_t wait_ms = kTickMs - (now_ms - *looked_ms_);
    if (channel_broken_) {
      context_->clock->SleepMs(wait_ms);
      continue;
    }
    auto message = channel_.Next(wait_ms);
    if (!message.ok()) {
      channel_broken_ = true;
      return event::Broken{message.status()};
    }
    if (*message) return event::Received{**std::move(message)};
  }
}

event::StopRequested JobService::StopNow() {
  const bool was_up = stop_schedule_.time_is_up();
  const Clock& clock = *context_->clock;
  const StopFacts facts{context_->stop_requests(), context_->ends_at_ms(), clock.WallMs(),
                        clock.MonotonicMs()};
  const int requests = stop_schedule_.Requests(facts, status());
  if (!was_up && stop_schedule_.time_is_up()) {
    const std::string line =
        fmt::format("stopping: the allocation ends in {} s", (facts.end_ms - facts.wall_ms) / 1000);
    context_->observer->Notify(line);
    spdlog::info("{}", line);
  }
  return {requests, context_->cancelled()};
}

// What does not announce itself.
void JobService::LookAround() {
  for (Event& event : processes_.Poll([this] { return AgentRoom(); })) Happened(std::move(event));
  for (const WorkerChannel::Suspect& suspect : channel_.Suspects()) {
    Happened(event::Suspected{suspect.worker, suspect.why, AgentRoom()});
  }
  for (const LostLease& lost : context_->leases->TakeLost()) {
    Happened(event::LeaseLost{lost.status, lost.what == LeaseOf::kJob});
  }
  const int64_t now_ms = *looked_ms_;
  if (!beats_ms_ || now_ms - *beats_ms_ >= cluster::kHeartbeatIntervalMs) {
    beats_ms_ = now_ms;
    Happened(event::Beats{channel_.Beats()});
  }
  Happened(event::Tick{});
}

absl::Status JobService::AgentRoom() const {
  const std::string& root = context_->home.root;
  const absl::StatusOr<DiskRoom> room = context_->free_room(root);
  return room.ok() ? CheckRoom(*room, kAgentRoom, root, "starting an agent") : absl::OkStatus();
}

absl::Status JobService::Finish() {
  background_.Drain();
  for (const Event& event : events_) {
    if (const auto* broken = std::get_if<event::Broken>(&event)) return broken->status;
  }
  return absl::OkStatus();
}

template <typename Work>
void JobService::Answer(Work work) {
  background_.Post([this, work = std::move(work)] {
    return [this, event = Event(work())] { Happened(event); };
  });
}

template <typename Work>
void JobService::AnswerWithNotes(Work work) {
  background_.Post([this, work = std::move(work)] {
    Notes notes;
    Event event = work(&notes);
    return [this, notes = std::move(notes), event = std::move(event)] {
      for (const std::string& note : notes) context_->observer->Notify(note);
      Happened(event);
    };
  });
}

void JobService::Post(std::function<absl::Status()> work) {
  background_.Post([this, work = std::move(work)] {
    return [this, status = work()] {
      if (!status.ok()) Happened(event::Broken{status});
    };
  });
}

// --- workers ---

void JobService::Do(const effect::Send& send) {
  const absl::Status sent = channel_.Send(send.worker, send.body);
  if (!sent.ok()) Happened(event::Broken{sent});
}

void JobService::Do(const effect::StartAgent& start) {
  const absl::Status started = processes_.StartAgent(start.agent);
  if (!started.ok()) Happened(event::Broken{started});
}

// --- files ---

void JobService::Do(const effect::CheckJob&) {
  Answer([this] { return event::JobChecked{files_.CheckJob()}; });
}

void JobService::Do(const effect::FindStage& find) {
  AnswerWithNotes([this, find](Notes* notes) {
    return event::StageFound{find.stage, files_.Find(find, notes)};
  });
}

void JobService::Do(const effect::PrepareStage& prepare) {
  AnswerWithNotes([this, prepare](Notes* notes) {
    return event::StagePrepared{prepare.stage, files_.Prepare(prepare, notes)};
  });
}

void JobService::Do(const effect::ReleaseStage& release) {
  Post([this, id = release.stage] {
    files_.Release(id);
    return absl::OkStatus();
  });
}

void JobService::Do(const effect::Ingest& ingest) {
  {
    const MutexLock lock(&ingests_mutex_);
    ingests_.push_back(ingest);
  }
  // The first of these finds all results that came while other work was done.
  background_.Post([this]() -> Background::Rest {
    std::vector<effect::Ingest> waiting;
    {
      const MutexLock lock(&ingests_mutex_);
      waiting.swap(ingests_);
    }
    return [this, answers = files_.Ingest(waiting)] {
      std::set<NodeId> stages;
      for (const event::Ingested& answer : answers) {
        Happened(answer);
        stages.insert(answer.stage);
      }
      for (const NodeId id : stages) {
        Post([this, id] {
          files_.TidyUp(id);
          return absl::OkStatus();
        });
      }
    };
  });
}

void JobService::Do(const effect::Install& install) {
  Answer([this, install] {
    return event::Installed{install.stage, files_.Install(install.stage, install.outcome)};
  });
}

void JobService::Do(const effect::RereadSources&) {
  Post([this] {
    files_.RereadSources();
    return absl::OkStatus();
  });
}

// --- gangs ---

void JobService::Do(const effect::PrepareLaunch& prepare) {
  Answer([this, prepare] {
    return event::LaunchPrepared{prepare.stage, prepare.launch,
                                 files_.PrepareLaunch(prepare.stage, prepare.launch)};
  });
}

void JobService::Do(const effect::AdoptGang& adopt) {
  Happened(event::Adopted{adopt.stage, adopt.launch,
                          processes_.Adopt(adopt, graph_->node(adopt.stage))});
}

void JobService::Do(const effect::Launch& launch) {
  const absl::StatusOr<bool> started = processes_.Launch(launch, graph_->node(launch.stage));
  if (started.ok() && !*started) return;  // said when they are
  Happened(event::Launched{launch.stage, launch.launch, started.status()});
}

void JobService::Do(const effect::TrackRank& track) { processes_.TrackRank(track); }

void JobService::Do(const effect::CheckRoom& check) {
  Happened(event::RoomChecked{check.stage, CheckStartingRoom(*context_)});
}

void JobService::Do(const effect::EndRanks& end) {
  Answer([this, end, gang = processes_.TakeGang(end.stage)]() -> event::RanksEnded {
    GangRemains remains = Processes::End(*context_, gang, graph_->node(end.stage).label);
    if (end.may_go_on) Processes::FindLostHosts(*context_, gang, &remains);
    const auto newest_step = files_.NewestStep(end.stage);
    if (!newest_step.ok()) return {end.stage, end.launch, newest_step.status()};
    remains.newest_step = *newest_step;
    return {end.stage, end.launch, remains};
  });
}

// --- what people see ---

void JobService::Do(const effect::ShowSteps& show) {
  FaultPoint("coordinator progress " + graph_->node(show.stage).label);
  board_.Show(show);
}

void JobService::Log(spdlog::level::level_enum level, const std::string& line,
                     const std::optional<NodeId>& stage) {
  std::optional<ScopedLogField> field;
  if (stage) field.emplace("stage", graph_->node(*stage).label);
  spdlog::log(level, "{}", line);
}

void JobService::Do(const effect::Tell& tell) {
  context_->observer->Notify(tell.line);
  if (!tell.is_logged) Log(spdlog::level::info, tell.line, tell.stage);
}

void JobService::Do(const effect::LogInfo& log) { Log(spdlog::level::info, log.line, log.stage); }
void JobService::Do(const effect::LogWarning& log) {
  Log(spdlog::level::warn, log.line, log.stage);
}

}  // namespace halcyon::coordinator
