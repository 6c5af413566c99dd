#include "coordinator/status_board.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "base/check.h"
#include "base/exit_code.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kWriteIntervalMs = 1000;

}  // namespace

StatusBoard::StatusBoard(const JobContext* context)
    : context_(context),
      status_(
          NewJobStatus(context->job.value(), context->spec.name, jobs::StagesOf(context->spec))) {
  created_ms_ = context->clock->WallMs();
  if (const auto before = context->journal->GetJob(status_.job_id); before.ok()) {
    created_ms_ = before->created_ms;
  }
  // Only a figure for people: a status that cannot be read counts for nothing.
  if (const auto before = ReadJobStatus(*context->env, context->home, status_.job_id);
      before.ok()) {
    status_.earlier_ms = before->TotalMs();
  }
  status_.started_ms = context->clock->WallMs();
  status_.pid = getpid();
}

void StatusBoard::Publish() {
  MeasurePace();
  context_->observer->Changed(status_);
  const int64_t now_ms = context_->clock->MonotonicMs();
  if (!written_ms_ || now_ms - *written_ms_ >= kWriteIntervalMs) WriteFile();
}

absl::Status StatusBoard::MoveJob(jobs::JobState state, const absl::Status& end) {
  HALCYON_CHECK(jobs::CanMove(status_.state, state));
  status_.state = state;
  status_.error = end.ok() ? "" : MessageOf(end);
  status_.exit_code = static_cast<int>(ExitCodeOf(end));
  return Record();
}

absl::Status StatusBoard::MoveStage(jobs::StageKind kind, jobs::StageState state,
                                    const std::string& note) {
  StageStatus& stage = status_.Stage(kind);
  HALCYON_CHECK(jobs::CanMove(stage.state, state));
  stage.state = state;
  stage.note = note;
  const int64_t now_ms = context_->clock->WallMs();
  if (state == jobs::StageState::kRunning) {
    stage.started_ms = now_ms;
  } else {
    stage.ended_ms = now_ms;
    const bool finished = state == jobs::StageState::kDone || state == jobs::StageState::kReused;
    if (finished) stage.fraction = 1;
  }
  return Record();
}

void StatusBoard::MeasurePace() {
  const int64_t now_ms = context_->clock->MonotonicMs();
  for (StageStatus& stage : status_.stages) {
    if (stage.state != jobs::StageState::kRunning) continue;
    StagePace& pace = paces_[stage.kind];
    // A gang reports its steps once it has started; until then time passes without progress.
    if (pace.start_fraction != stage.start_fraction || pace.steps != stage.steps) {
      pace.start_fraction = stage.start_fraction;
      pace.steps = stage.steps;
      pace.meter.Start(now_ms, stage.fraction);
    }
    pace.meter.Add(now_ms, stage.fraction);
    stage.pace = pace.meter.PerSecond(now_ms);
  }
}

void StatusBoard::WriteFile() {
  written_ms_ = context_->clock->MonotonicMs();
  status_.updated_ms = context_->clock->WallMs();
  // The status is a convenience: a job does not end because it cannot be told.
  if (const absl::Status written = WriteJobStatus(*context_->env, context_->home, status_);
      !written.ok()) {
    spdlog::warn("status.json: {}", MessageOf(written));
  }
}

absl::Status StatusBoard::Record() {
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
  for (const StageStatus& stage : status_.stages) {
    record.stages.push_back({stage.kind, stage.state, stage.fingerprint, stage.note});
  }
  return context_->journal->PutJob(record);
}

}  // namespace halcyon::coordinator
