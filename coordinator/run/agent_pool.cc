#include "coordinator/run/agent_pool.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "cluster/coordinator_link.h"
#include "cluster/work_progress.h"
#include "coordinator/processes/child_end.h"
#include "coordinator/run/gang_watch.h"
#include "coordinator/run/launch_plan.h"

namespace halcyon::coordinator {
namespace {

constexpr char kNamePrefix[] = "agent-";

}  // namespace

AgentPool::AgentPool(int64_t agents, int64_t restarts_max, const HangLimits& hang,
                     const std::vector<EarlierAgent>& earlier, uint64_t starts)
    : starts_(starts), past_(hang) {
  HALCYON_CHECK(agents >= 1);
  for (int64_t i = 0; i < agents; ++i) {
    agents_.push_back(
        {.id = {.name = kNamePrefix + std::to_string(i)}, .budget = RestartBudget(restarts_max)});
    to_tend_.insert(to_tend_.end(), static_cast<size_t>(i));
  }
  for (const EarlierAgent& one : earlier) Await(one);
}

void AgentPool::On(const event::AgentEnded& ended) {
  if (Agent* agent = Find(ended.agent)) Lose(agent, {ended.how, ended.room});
}

void AgentPool::On(const event::Suspected& suspected) {
  Agent* const agent = Find(suspected.worker);
  // That it ended explains more than that it stopped sending.
  if (agent == nullptr || agent->lost) return;
  Lose(agent, {Unavailable(agent->id.name + " " + suspected.why), suspected.room});
}

void AgentPool::LoseThatDoNotComeUp(int64_t now_ms) {
  while (!starting_.empty()) {
    const Start& start = starting_.front();
    Agent& agent = agents_[start.agent];
    if (agent.is_started && agent.id.incarnation == start.incarnation && !agent.has_registered &&
        !agent.lost) {
      if (now_ms - start.ms < kAgentStartMsMax) return;
      Lose(&agent, {Unavailable(fmt::format("{} has not come up in {} s; its log says whether it "
                                            "has reached this coordinator",
                                            agent.id.name, kAgentStartMsMax / 1000)),
                    absl::OkStatus()});
    }
    starting_.pop_front();
  }
}

void AgentPool::Lose(Agent* agent, Lost how) {
  if (std::exchange(agent->is_awaited, false)) {
    --awaited_;
    how.is_blameless = true;
  }
  if (std::exchange(agent->stated, std::nullopt)) --stating_;
  agent->kept.clear();
  agent->lost = std::move(how);
  to_tend_.insert(static_cast<size_t>(agent - agents_.data()));
}

absl::Status AgentPool::Maintain(int64_t now_ms, Scheduler* scheduler, Effects* effects) {
  for (auto it = to_tend_.begin(); it != to_tend_.end();) {
    Agent& agent = agents_[*it];
    if (agent.lost) RETURN_IF_ERROR(Report(&agent, now_ms, scheduler, effects));
    if (now_ms < agent.start_after_ms) {
      ++it;
      continue;
    }
    agent.id.incarnation = ++starts_;
    agent.is_started = true;
    agent.has_registered = false;
    agent.reader = {};
    effects->push_back(effect::StartAgent{agent.id});
    starting_.push_back({*it, agent.id.incarnation, now_ms});
    it = to_tend_.erase(it);
  }
  return absl::OkStatus();
}

void AgentPool::End(Agent* agent, Effects* effects) {
  if (!std::exchange(agent->is_started, false)) return;
  effects->push_back(effect::Forget{agent->id});
  effects->push_back(effect::EndAgent{agent->id});
}

absl::Status AgentPool::Report(Agent* agent, int64_t now_ms, Scheduler* scheduler,
                               Effects* effects) {
  const bool paused = IsPausedAt(now_ms);
  const Lost lost = *agent->lost;
  const std::string task = scheduler->TaskOf(agent->id).value_or("no task");
  const std::string what = "(" + task + ") " + MessageOf(lost.how);
  effects->push_back(effect::LogWarning{what});
  effects->push_back(effect::Tell{FirstLine(what), std::nullopt, /*is_logged=*/true});
  scheduler->Lost(agent->id, /*counts=*/!paused);
  End(agent, effects);
  agent->lost.reset();
  const bool had_registered = std::exchange(agent->has_registered, false);
  if (lost.is_blameless) return absl::OkStatus();
  if (absl::IsResourceExhausted(lost.how)) return lost.how;
  const EndCause cause = paused                                 ? EndCause::kOwnPause
                         : !had_registered                      ? EndCause::kBeforeHello
                         : SaysOutOfMemory(MessageOf(lost.how)) ? EndCause::kOutOfMemory
                                                                : EndCause::kFailure;
  if (const auto wait_ms = agent->budget.WaitMsAfter(cause)) {
    agent->start_after_ms = now_ms + *wait_ms;
    return absl::OkStatus();
  }
  if (absl::IsResourceExhausted(lost.room)) return lost.room;
  if (OthersWork()) {
    agent->start_after_ms = now_ms + kExcludedMs;
    agent->budget.Progress();
    effects->push_back(effect::Tell{fmt::format("{} is left out for {} minutes; the others go on",
                                                agent->id.name, kExcludedMs / 60'000)});
    return absl::OkStatus();
  }
  return Internal(what + "\n" + std::to_string(agent->budget.failures()) +
                  " times in a row without a task done");
}

bool AgentPool::OthersWork() const {
  return std::any_of(agents_.begin(), agents_.end(),
                     [](const Agent& agent) { return agent.has_registered && !agent.lost; });
}

bool AgentPool::IsPausedAt(int64_t now_ms) const {
  return paused_ms_ && now_ms - *paused_ms_ < 2 * cluster::kHeartbeatTimeoutMs;
}

std::vector<WorkerHealth> AgentPool::On(const event::Beats& beats, int64_t now_ms) {
  std::vector<WorkerHealth> health;
  for (const WorkerBeat& beat : beats.beats) {
    Agent* const agent = Find(beat.worker);
    if (agent == nullptr || agent->lost) continue;
    const bool has_task = beat.activity.phase == cluster::NameOf(cluster::WorkPhase::kTask);
    const std::string& task = beat.activity.what;
    const std::string stage = has_task ? task.substr(0, task.find('/')) : "";
    agent->reader.Take(beat.activity, stage, &past_);
    if (!has_task) continue;
    const bool is_silent = beat.silent_ms >= kSilentMsMin;
    const bool hangs = !is_silent && past_.Hangs(stage, beat.activity.age_ms);
    health.push_back({.worker = agent->id.name,
                      .host = agent->host,
                      .pid = agent->pid,
                      .start_time = agent->start_time,
                      .phase = task,
                      .age_ms = is_silent ? beat.silent_ms : beat.activity.age_ms,
                      .verdict = is_silent ? beat.is_stopped ? Verdict::kStopped : Verdict::kSilent
                                 : hangs   ? Verdict::kStuck
                                           : Verdict::kRunning});
    if (!hangs || IsPausedAt(now_ms)) continue;
    const std::string on_host = agent->host.empty() ? "" : " on " + agent->host;
    Lose(agent, {Unavailable(fmt::format("{}{} is stuck in {} (at most {} s are expected)",
                                         agent->id.name, on_host, cluster::Describe(beat.activity),
                                         past_.LimitMs(stage) / 1000)),
                 absl::OkStatus()});
  }
  return health;
}

bool AgentPool::OnMessage(const cluster::Message& message, Scheduler* scheduler, Effects* effects) {
  if (!message.worker.name.starts_with(kNamePrefix)) return false;
  Agent* const agent = Find(message.worker);
  if (agent == nullptr) {
    effects->push_back(effect::Forget{message.worker});
    return true;
  }
  if (const auto* hello = std::get_if<cluster::Hello>(&message.body)) {
    if (!agent->is_awaited || MayReturn(agent, *hello)) Register(agent, *hello, effects);
    return true;
  }
  if (agent->stated) {
    Keep(agent, message);
    return true;
  }
  if (const auto* ready = std::get_if<cluster::Ready>(&message.body)) {
    scheduler->Ready(message.worker, Fence(ready->last_fence));
    return true;
  }
  return false;
}

void AgentPool::Register(Agent* agent, const cluster::Hello& hello, Effects* effects) {
  agent->has_registered = true;
  agent->host = hello.host;
  agent->pid = hello.pid;
  agent->start_time = hello.start_time;
  effects->push_back(effect::Send{agent->id, cluster::Welcome{}});
}

void AgentPool::DidTask(const WorkerId& worker) {
  if (Agent* agent = Find(worker)) agent->budget.Progress();
}

std::optional<size_t> AgentPool::IndexOf(std::string_view name) const {
  constexpr std::string_view kPrefix = kNamePrefix;
  if (!name.starts_with(kPrefix)) return std::nullopt;
  size_t index = 0;
  const auto parsed =
      std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), index);
  if (parsed.ec != std::errc() || index >= agents_.size()) return std::nullopt;
  return index;
}

AgentPool::Agent* AgentPool::Find(const WorkerId& worker) {
  const std::optional<size_t> index = IndexOf(worker.name);
  if (!index) return nullptr;
  // The whole id: "agent-03" is none.
  Agent& agent = agents_[*index];
  return agent.is_started && agent.id == worker ? &agent : nullptr;
}

void AgentPool::Stop(int64_t now_ms, Effects* effects) {
  stopped_ms_ = now_ms;
  for (const Agent& agent : agents_) {
    if (agent.is_started && !agent.lost) {
      effects->push_back(effect::Send{agent.id, cluster::Stop{"the job has ended"}});
    }
  }
}

bool AgentPool::MayLeave(int64_t now_ms, int stop_requests) const {
  if (stop_requests > 1 || now_ms - *stopped_ms_ >= kAgentEndMsMax) return true;
  return to_tend_.size() == agents_.size();
}

void AgentPool::End(Effects* effects) {
  for (Agent& agent : agents_) {
    if (!agent.is_started) continue;
    effects->push_back(effect::Forget{agent.id});
    effects->push_back(effect::EndAgent{agent.id});
    agent.is_started = false;
    to_tend_.insert(static_cast<size_t>(&agent - agents_.data()));
  }
}

}  // namespace halcyon::coordinator
