// What a gang's stage does on each message of its ranks; gang_stage.cc has the other events,
// gang_end.cc its end.
#include <map>
#include <utility>
#include <vector>

#include "coordinator/processes/child_end.h"
#include "coordinator/run/gang_stage.h"
#include "coordinator/run/scheduler.h"

namespace halcyon::coordinator {
namespace {

// What rank 0 reports of where the ranks compute and of the checkpoint that it resumed from, a line
// each, for a person.
std::vector<std::string> ResumptionLines(const nlohmann::json& figures) {
  auto lines = figures.value("notices", std::vector<std::string>());
  for (const auto& reason : figures.value("rejected_checkpoints", std::vector<std::string>())) {
    lines.push_back("checkpoint passed over: " + reason);
  }
  if (const auto step = figures.value("resumed_from", uint64_t{0}); step > 0) {
    lines.push_back("goes on from step " + std::to_string(step));
  }
  for (const auto& [name, change] :
       figures.value("bits_may_differ", std::map<std::string, std::string>())) {
    lines.push_back(name + " changed since the checkpoint (" + change +
                    "): the last bits of the weights may differ");
  }
  return lines;
}

}  // namespace

bool GangStage::OnMessage(const cluster::Message& message, int64_t now_ms, Effects* effects) {
  const bool has_launch =
      state_ == State::kAdopting || state_ == State::kRunning || state_ == State::kDraining;
  const bool is_mine = has_launch && message.worker.incarnation == assignment_.launch &&
                       message.worker.name.starts_with(RankPrefix(label_) + "-");
  if (!is_mine) return false;
  launch_.last_message_ms = now_ms;
  if (const auto* hello = std::get_if<cluster::Hello>(&message.body)) {
    OnHello(*hello, message.worker, effects);
  } else if (const auto* progress = std::get_if<cluster::TrainProgress>(&message.body)) {
    OnProgress(*progress, effects);
  } else if (const auto* ended = std::get_if<cluster::RankEnded>(&message.body)) {
    OnEnded(*ended, message.worker, now_ms, effects);
  }
  if (state_ == State::kDraining) EndWhenQuiet(now_ms, effects);
  return true;
}

void GangStage::OnHello(const cluster::Hello& hello, const WorkerId& worker, Effects* effects) {
  if (launch_.ranks.insert(worker).second) ++launch_.came_up;
  watch_.OnHello(worker, hello);
  effects->push_back(effect::TrackRank{id_, worker, hello});
  effects->push_back(effect::Send{worker, cluster::Welcome{assignment_}});
  // A rank that came after the Stop must get it too.
  if (stop_requests_ > 0) effects->push_back(effect::Send{worker, StopMessage()});
}

void GangStage::OnProgress(const cluster::TrainProgress& progress, Effects* effects) {
  effect::ShowSteps show{.stage = id_,
                         .step = progress.step,
                         .steps = progress.steps,
                         .figures = nlohmann::json::object(),
                         .is_start = !launch_.started};
  launch_.started = true;
  if (progress.figures.is_object()) {
    show.figures = progress.figures;
    try {
      for (const std::string& line : ResumptionLines(progress.figures)) {
        effects->push_back(effect::Tell{label_ + ": " + line, id_});
      }
    } catch (const nlohmann::json::exception& error) {
      Abandon(Internal(std::string("figures of rank 0: ") + error.what()), effects);
    }
  }
  effects->push_back(std::move(show));
}

void GangStage::OnEnded(const cluster::RankEnded& ended, const WorkerId& worker, int64_t now_ms,
                        Effects* effects) {
  effects->push_back(effect::Forget{worker});
  watch_.OnEnded(worker);
  if (launch_.ranks.erase(worker) > 0) ++launch_.ended;
  if (ended.code == 0) {
    if (ended.rank == 0) launch_.result = ended.result;
    return;
  }
  if (!launch_.failed_ms) launch_.failed_ms = now_ms;
  const absl::Status status = MakeStatus(
      static_cast<absl::StatusCode>(ended.code),
      "rank " + std::to_string(ended.rank) + ": " + ended.message + MemoryHint(ended.message));
  // The first error may be that of a rank that only noticed another's end; the other's own is
  // better.
  absl::Status& failure = launch_.failure;
  if (failure.ok() || (EndsJob(status.code()) && !EndsJob(failure.code()))) failure = status;
}

}  // namespace halcyon::coordinator
