#include "coordinator/status_board.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <utility>

#include "base/check.h"
#include "base/exit_code.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kWriteIntervalMs = 1000;

}  // namespace

StatusBoard::StatusBoard(const JobContext* context, const jobs::StageGraph& graph, Post post)
    : context_(context),
      post_(std::move(post)),
      status_(NewJobStatus(context->job.value(), context->spec.name, graph)),
      paces_(graph.size()) {
  created_ms_ = context->clock->WallMs();
  if (const storage::JobRecord& before = context->journal->history().job; !before.job_id.empty()) {
    created_ms_ = before.created_ms;
  }
  // Only a figure for people: a status that cannot be read counts for nothing.
  if (const auto before = ReadJobStatus(*context->env, context->home, status_.job_id);
      before.ok()) {
    status_.earlier_ms = before->TotalMs();
  }
  status_.started_ms = context->clock->WallMs();
  status_.pid = getpid();
  status_.until = context->until;
}

void StatusBoard::Publish() {
  MeasurePace();
  context_->observer->Changed(status_);
  const int64_t now_ms = context_->clock->MonotonicMs();
  const bool is_due = !written_ms_ || now_ms - *written_ms_ >= kWriteIntervalMs;
  // On a disk that takes longer than the interval, writes must not pile up.
  if (is_due && unwritten_ == 0) WriteFile();
}

void StatusBoard::Show(const effect::ShowNote& show) { stage(show.stage).note = show.note; }

void StatusBoard::Show(const effect::ShowFingerprint& show) {
  stage(show.stage).fingerprint = show.fingerprint;
}

void StatusBoard::Show(const effect::ShowTasks& show) {
  StageStatus& one = stage(show.stage);
  one.tasks = show.tasks;
  one.tasks_done = show.done;
  one.fraction = show.fraction;
  if (show.is_start) one.start_fraction = one.fraction;
}

void StatusBoard::Show(const effect::ShowSteps& show) {
  StageStatus& one = stage(show.stage);
  one.step = show.step;
  one.steps = show.steps;
  if (show.steps > 0) {
    one.fraction = static_cast<double>(show.step) / static_cast<double>(show.steps);
  }
  if (show.is_start) one.start_fraction = one.fraction;
  one.figures.update(show.figures);
}

void StatusBoard::Show(const effect::ShowRestart& show) {
  StageStatus& one = stage(show.stage);
  ++one.restarts;
  one.restart_why = show.why;
  one.restarted_ms = context_->clock->WallMs();
}

void StatusBoard::Show(const effect::ShowWorkers& show) {
  const int64_t now_ms = context_->clock->WallMs();
  if (!status_.workers.empty()) workers_before_ = std::move(status_.workers);
  status_.workers.clear();
  for (const WorkerHealth& one : show.workers) {
    status_.workers.push_back({.worker = one.worker,
                               .rank = one.rank,
                               .host = one.host,
                               .pid = one.pid,
                               .start_time = one.start_time,
                               .step = one.step,
                               .phase = one.phase,
                               .waits_for = one.waits_for,
                               .since_ms = now_ms - one.age_ms,
                               .verdict = std::string(NameOf(one.verdict))});
  }
}

void StatusBoard::Move(const effect::MoveJob& move) {
  HALCYON_CHECK(jobs::CanMove(status_.state, move.state));
  status_.state = move.state;
  status_.error = move.end.ok() ? "" : MessageOf(move.end);
  if (move.state == jobs::JobState::kFailed && status_.workers.empty()) {
    status_.workers = workers_before_;
  }
  status_.exit_code = static_cast<int>(ExitCodeOf(move.end));
  Record();
}

void StatusBoard::Move(const effect::MoveStage& move) {
  StageStatus& one = stage(move.stage);
  HALCYON_CHECK(jobs::CanMove(one.state, move.state));
  one.state = move.state;
  one.note = move.note;
  const int64_t now_ms = context_->clock->WallMs();
  if (move.state == jobs::StageState::kRunning) {
    one.started_ms = now_ms;
  } else {
    one.ended_ms = now_ms;
    const bool finished =
        move.state == jobs::StageState::kDone || move.state == jobs::StageState::kReused;
    if (finished) one.fraction = 1;
  }
  Record();
}

void StatusBoard::MeasurePace() {
  const int64_t now_ms = context_->clock->MonotonicMs();
  for (size_t i = 0; i < status_.stages.size(); ++i) {
    StageStatus& one = status_.stages[i];
    if (one.state != jobs::StageState::kRunning) continue;
    StagePace& pace = paces_[i];
    // A gang reports its steps once it has started; until then time passes without progress.
    if (pace.start_fraction != one.start_fraction || pace.steps != one.steps) {
      pace.start_fraction = one.start_fraction;
      pace.steps = one.steps;
      pace.meter.Start(now_ms, one.fraction);
    }
    pace.meter.Add(now_ms, one.fraction);
    one.pace = pace.meter.PerSecond(now_ms);
  }
}

void StatusBoard::WriteFile() {
  written_ms_ = context_->clock->MonotonicMs();
  status_.updated_ms = context_->clock->WallMs();
  ++unwritten_;
  post_([this, status = status_] {
    // The status is a convenience: a job does not end because it cannot be told.
    if (const absl::Status written = WriteJobStatus(*context_->env, context_->home, status);
        !written.ok()) {
      spdlog::warn("status.json: {}", MessageOf(written));
    }
    --unwritten_;
    return absl::OkStatus();
  });
}

void StatusBoard::Record() {
  WriteFile();
  context_->observer->Changed(status_);
  storage::JobRecord record;
  record.job_id = status_.job_id;
  record.name = status_.name;
  record.spec_path = context_->spec_path;
  record.state = status_.state;
  record.created_ms = created_ms_;
  record.updated_ms = status_.updated_ms;
  record.error = status_.error;
  for (const StageStatus& one : status_.stages) {
    record.stages.push_back({one.kind, one.state, one.fingerprint, one.note});
  }
  post_([this, record = std::move(record)] { return context_->journal->PutJob(record); });
}

}  // namespace halcyon::coordinator
