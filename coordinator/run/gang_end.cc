// The end of a gang's launch: what it means, and whether and how the gang is launched again.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <utility>

#include "cluster/coordinator_link.h"
#include "cluster/outputs.h"
#include "coordinator/processes/child_end.h"
#include "coordinator/run/gang_stage.h"
#include "coordinator/run/scheduler.h"
#include "coordinator/run/task_stage.h"

namespace halcyon::coordinator {

// How a gang that was told to stop left its stage: `end` is what its ranks reported, `newest_step`
// what lies on the disk.
absl::Status GangStage::StoppedGang(const absl::Status& end, uint64_t newest_step) {
  if (EndsJob(end.code())) return end;  // the step could not be saved
  const std::string step = std::to_string(newest_step);
  if (absl::IsAborted(end))
    return Stopped(newest_step > 0 ? "saved step " + step : "no step was done");
  return Stopped((newest_step > 0 ? "nothing saved since step " + step : "nothing saved") + " (" +
                 MessageOf(end) + ")");
}

void GangStage::On(const event::RanksEnded& ended, int64_t now_ms, Effects* effects) {
  if (!ended.remains.ok()) return End(ended.remains.status());
  if (!fatal_.ok()) return End(fatal_);
  absl::StatusOr<StageOutcome> outcome = Conclude(*ended.remains);
  if (outcome.ok()) return End(std::move(outcome));
  absl::Status failure = outcome.status();
  if (!ended.remains->lost_hosts.empty()) {
    launch_.lost_hosts = true;
    LeaveOut(*ended.remains, now_ms, effects);
    failure = absl::Status(failure.code(), fmt::format("{} cannot be reached any more; {}",
                                                       fmt::join(ended.remains->lost_hosts, ", "),
                                                       MessageOf(failure)));
  }
  Decide(failure, ended.remains->newest_step, now_ms, effects);
}

void GangStage::LeaveOut(const GangRemains& remains, int64_t now_ms, Effects* effects) {
  // Then it is the network of this machine.
  if (remains.lost_hosts.size() == remains.hosts.size()) return;
  std::map<std::string, size_t> ranks_by_host;
  for (const std::string& host : remains.hosts) ranks_by_host.emplace(host, 1);
  for (const std::string& host : remains.lost_hosts) {
    if (plan_.Exclude(host, ranks_by_host, now_ms)) TellLeftOut(host, effects);
  }
}

void GangStage::TellLeftOut(const std::string& host, Effects* effects) {
  effects->push_back(effect::Tell{label_ + ": " + host + " is left out for " +
                                      std::to_string(kExcludedMs / 60'000) + " minutes",
                                  id_});
}

absl::StatusOr<StageOutcome> GangStage::Conclude(const GangRemains& remains) const {
  // How an adopted launcher ended is not known; its ranks have said how they did.
  const bool all_ended = !launch_.is_adopted || launch_.ended >= ranks_wanted();
  if (launch_.has_exited && remains.exit.ok() && launch_.result && all_ended) {
    return OutcomeFromResult(*launch_.result, cluster::GangOutputDir(assignment_));
  }
  // A rank's own error explains more than the launcher's end; that it stopped sending does not.
  if (!launch_.failure.ok()) return launch_.failure;
  if (absl::IsResourceExhausted(remains.room)) return remains.room;
  if (!remains.exit.ok()) return remains.exit;
  return Unavailable("the ranks ended without a result; " +
                     (remains.how.empty() ? "see " + remains.log_path : remains.how));
}

void GangStage::Decide(const absl::Status& status, uint64_t step, int64_t now_ms,
                       Effects* effects) {
  if (stop_requests_ > 0) return End(StoppedGang(status, step));
  if (EndsJob(status.code())) return End(status);
  if (step > newest_step_) {
    budget_.Progress();
    plan_.Progress();
  }
  newest_step_ = step;
  const std::optional<int64_t> wait_ms = WaitMsAfter(status, now_ms, effects);
  if (!wait_ms) {
    return End(Internal("failed " + std::to_string(budget_.failures()) +
                        " times without a checkpoint between, last: " + MessageOf(status)));
  }
  effects->push_back(effect::Tell{label_ +
                                      ": launched again, it resumes from its last checkpoint (" +
                                      FirstLine(MessageOf(status)) + ")",
                                  id_});
  effects->push_back(effect::ShowRestart{id_, MessageOf(status)});
  if (*wait_ms == 0) return PrepareLaunch(effects);
  launch_after_ms_ = now_ms + *wait_ms;
  state_ = State::kWaiting;
}

// Changes the plan of the next launch after what has failed; nullopt: there is no other.
std::optional<int64_t> GangStage::WaitMsAfter(const absl::Status& status, int64_t now_ms,
                                              Effects* effects) {
  EndCause cause = CauseOf(status, now_ms);
  if (cause == EndCause::kNotStarted) {
    if (const auto wait_ms = budget_.WaitMsAfter(cause)) return wait_ms;
    cause = EndCause::kBeforeHello;
  }
  if (cause == EndCause::kNodeFault && places_ranks_ &&
      plan_.Exclude(launch_.fault_host, watch_.ranks_by_host(), now_ms)) {
    TellLeftOut(launch_.fault_host, effects);
  }
  if (cause == EndCause::kBeforeHello) {
    const int64_t before = plan_.ranks();
    if (plan_.NotComeUp(static_cast<int64_t>(launch_.came_up), watch_.ranks_by_host(), now_ms)) {
      if (plan_.ranks() < before) {
        effects->push_back(effect::Tell{
            label_ + ": " + std::to_string(before) + " ranks do not come up; tried with " +
                std::to_string(plan_.ranks()) + ", as launch.ranks_min allows",
            id_});
      }
      return RestartBudget::kWaitMsMin;
    }
  }
  return budget_.WaitMsAfter(cause);
}

bool GangStage::IsPausedAt(int64_t now_ms) const {
  return launch_.paused_ms && now_ms - *launch_.paused_ms < 2 * cluster::kHeartbeatTimeoutMs;
}

EndCause GangStage::CauseOf(const absl::Status& status, int64_t now_ms) const {
  // Ranks end when their coordinator was stopped and so sent nothing.
  if (IsPausedAt(now_ms)) return EndCause::kOwnPause;
  if (launch_.lost_hosts) return EndCause::kNodeFault;
  if (!all_came_up()) {
    return SaysNotStarted(MessageOf(status)) ? EndCause::kNotStarted : EndCause::kBeforeHello;
  }
  if (launch_.is_node_fault) return EndCause::kNodeFault;
  if (absl::IsAborted(status)) return EndCause::kPreempted;
  return SaysOutOfMemory(MessageOf(status)) ? EndCause::kOutOfMemory : EndCause::kFailure;
}

}  // namespace halcyon::coordinator
