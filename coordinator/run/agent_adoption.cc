// What the pool does with agents of an earlier coordinator until each is an agent like the others.
#include <algorithm>
#include <utility>

#include "coordinator/run/agent_pool.h"

namespace halcyon::coordinator {
namespace {

// While its lease is not settled an agent has at most a result and Ready to send beside progress.
constexpr size_t kKeptMax = 8;

}  // namespace

void AgentPool::Await(const EarlierAgent& earlier) {
  const std::optional<size_t> index = IndexOf(earlier.id.name);
  if (!index || agents_[*index].id.name != earlier.id.name) return;
  Agent& agent = agents_[*index];
  agent.id = earlier.id;
  agent.process = earlier.process;
  agent.is_started = agent.is_awaited = true;
  to_tend_.erase(*index);
  ++awaited_;
}

void AgentPool::On(const event::Tick&, int64_t now_ms) {
  LoseAwaited(now_ms);
  LoseThatDoNotComeUp(now_ms);
}

void AgentPool::LoseAwaited(int64_t now_ms) {
  if (awaited_ == 0) return;
  if (!come_by_ms_) come_by_ms_ = now_ms + kAgentComesMsMax;
  if (now_ms < *come_by_ms_) return;
  for (Agent& agent : agents_) {
    if (agent.is_awaited) Lose(&agent, {Unavailable(agent.id.name + " has not come back"), {}});
  }
}

void AgentPool::On(const event::Paused&, int64_t now_ms) {
  paused_ms_ = now_ms;
  come_by_ms_.reset();
  for (Start& start : starting_) start.ms = now_ms;
}

bool AgentPool::MayReturn(Agent* agent, const cluster::Hello& hello) {
  const std::optional<ProcessIdentity>& process = agent->process;
  if (process && (hello.pid != process->pid || hello.start_time != process->start_time)) {
    Lose(agent, {Unavailable(agent->id.name + ": another process says that it is it"), {}});
    return false;
  }
  agent->is_awaited = false;
  --awaited_;
  if (!hello.task.empty()) {
    ++stating_;
    agent->stated =
        StatedLease{agent->id, hello.stage, hello.fingerprint, hello.task, Fence(hello.fence)};
  }
  return true;
}

void AgentPool::Keep(Agent* agent, const cluster::Message& message) {
  if (std::holds_alternative<cluster::TaskProgress>(message.body)) return;
  const auto* failed = std::get_if<cluster::TaskFailed>(&message.body);
  if (failed != nullptr && Fence(failed->fence) == agent->stated->fence) {
    agent->stated->has_failed = true;
  }
  agent->kept.push_back(message);
  if (agent->kept.size() <= kKeptMax) return;
  Lose(agent, {Unavailable(agent->id.name + " sends more than one with a lease should"), {}});
}

void AgentPool::EndLost(Effects* effects) {
  for (const size_t index : to_tend_) {
    if (agents_[index].lost) End(&agents_[index], effects);
  }
}

std::vector<StatedLease> AgentPool::StatedLeases() const {
  std::vector<StatedLease> leases;
  for (const Agent& agent : agents_) {
    if (agent.stated) leases.push_back(*agent.stated);
  }
  return leases;
}

bool AgentPool::States(Fence fence) const {
  return stating_ > 0 && std::any_of(agents_.begin(), agents_.end(), [&](const Agent& agent) {
           return agent.stated && agent.stated->fence == fence;
         });
}

std::vector<cluster::Message> AgentPool::Settle(const WorkerId& worker, bool is_adopted) {
  Agent* const agent = Find(worker);
  std::vector<cluster::Message> kept = std::exchange(agent->kept, {});
  const StatedLease lease = *std::exchange(agent->stated, std::nullopt);
  --stating_;
  if (is_adopted) return kept;
  const auto is_result = [](const cluster::Message& message) {
    return std::holds_alternative<cluster::TaskDone>(message.body) ||
           std::holds_alternative<cluster::TaskFailed>(message.body);
  };
  if (std::erase_if(kept, is_result) > 0) return kept;
  Lose(agent, {.how = Unavailable(agent->id.name + " is at work on " + lease.task +
                                  ", which is not needed any more"),
               .room = {},
               .is_blameless = true});
  return {};
}

}  // namespace halcyon::coordinator
