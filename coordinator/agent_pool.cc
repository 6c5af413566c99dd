#include "coordinator/agent_pool.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "base/check.h"
#include "cluster/coordinator_link.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kStopWaitMs = 5000;
constexpr int64_t kStopPollMs = 20;
constexpr char kNamePrefix[] = "agent-";
// With less, an agent cannot even begin its log.
constexpr DiskRoom kAgentRoom{1 << 20, 16};

}  // namespace

AgentPool::AgentPool(const JobContext* context, WorkerChannel* channel, Scheduler* scheduler,
                     ProcessRegistry* registry, int64_t agents)
    : context_(context), channel_(channel), scheduler_(scheduler), registry_(registry) {
  HALCYON_CHECK(agents >= 1);
  for (int64_t i = 0; i < agents; ++i) {
    agents_.push_back({.id = {.name = kNamePrefix + std::to_string(i)},
                       .budget = RestartBudget(context->spec.launch.restarts_max)});
  }
}

absl::Status AgentPool::Maintain() {
  const std::vector<WorkerChannel::Suspect> suspects = channel_->Suspects();
  for (Agent& agent : agents_) {
    if (agent.process) {
      const auto suspect =
          std::find_if(suspects.begin(), suspects.end(),
                       [&](const WorkerChannel::Suspect& one) { return one.worker == agent.id; });
      if (const auto exit = agent.process->Poll()) {
        RETURN_IF_ERROR(Lose(&agent, ChildEndStatus(agent.id.name, *exit, *agent.log)));
      } else if (suspect != suspects.end()) {
        RETURN_IF_ERROR(Lose(&agent, Unavailable(agent.id.name + " " + suspect->why)));
      }
    }
    if (!agent.process) RETURN_IF_ERROR(Start(&agent));
  }
  return absl::OkStatus();
}

absl::Status AgentPool::Start(Agent* agent) {
  agent->id.incarnation = ++launches_;
  agent->has_registered = false;
  agent->log = std::make_unique<ChildLog>(*context_->env, AgentLogPath(*context_, agent->id.name));
  ASSIGN_OR_RETURN(agent->process, context_->agent_spawner->Spawn(agent->id),
                   "cannot start " + agent->id.name);
  return registry_->Add(agent->id.name, agent->process->pid());
}

absl::Status AgentPool::Lose(Agent* agent, const absl::Status& how) {
  const bool paused = WasPausedRecently();
  const std::string task = scheduler_->TaskOf(agent->id).value_or("no task");
  const std::string what = "(" + task + ") " + MessageOf(how);
  spdlog::warn("{}", what);
  context_->observer->Notify(FirstLine(what));
  scheduler_->Lost(agent->id, /*counts=*/!paused);
  channel_->Forget(agent->id);
  agent->process.reset();
  if (absl::IsResourceExhausted(how)) return how;
  const EndCause cause = paused                  ? EndCause::kOwnPause
                         : agent->has_registered ? EndCause::kFailure
                                                 : EndCause::kBeforeHello;
  if (agent->budget.MayStartAgain(cause)) return absl::OkStatus();
  const absl::StatusOr<DiskRoom> room = context_->free_room(context_->home.root);
  if (room.ok()) {
    RETURN_IF_ERROR(CheckRoom(*room, kAgentRoom, context_->home.root, "starting an agent"));
  }
  return Internal(what + "\n" + std::to_string(agent->budget.failures()) +
                  " times in a row without a task done");
}

bool AgentPool::WasPausedRecently() {
  const int64_t now_ms = context_->clock->MonotonicMs();
  if (const int pauses = channel_->pauses(); pauses != pauses_seen_) {
    pauses_seen_ = pauses;
    paused_ms_ = now_ms;
  }
  return paused_ms_ && now_ms - *paused_ms_ < 2 * cluster::kHeartbeatTimeoutMs;
}

absl::StatusOr<bool> AgentPool::OnMessage(const cluster::Message& message) {
  if (message.worker.name.rfind(kNamePrefix, 0) != 0) return false;
  Agent* const agent = Find(message.worker);
  if (agent == nullptr) {
    channel_->Forget(message.worker);
    return true;
  }
  if (std::holds_alternative<cluster::Hello>(message.body)) {
    agent->has_registered = true;
    RETURN_IF_ERROR(channel_->Send(message.worker, cluster::Welcome{}));
    return true;
  }
  if (std::holds_alternative<cluster::Ready>(message.body)) {
    scheduler_->Ready(message.worker);
    return true;
  }
  return false;
}

void AgentPool::ResetFailures(const WorkerId& worker) {
  if (Agent* agent = Find(worker)) agent->budget.Progress();
}

bool AgentPool::IsMember(const WorkerId& worker) const {
  return std::any_of(agents_.begin(), agents_.end(), [&](const Agent& agent) {
    return agent.process != nullptr && agent.id == worker;
  });
}

AgentPool::Agent* AgentPool::Find(const WorkerId& worker) {
  for (Agent& agent : agents_) {
    if (agent.process != nullptr && agent.id == worker) return &agent;
  }
  return nullptr;
}

void AgentPool::Stop() {
  for (const Agent& agent : agents_) {
    if (!agent.process) continue;
    // Best effort: an agent that does not receive it is killed below.
    channel_->Send(agent.id, cluster::Stop{"the job has ended"}).IgnoreError();
  }
  const auto may_leave = [this] {
    return context_->stop_requests() > 1 ||
           std::all_of(agents_.begin(), agents_.end(), [](const Agent& agent) {
             return agent.process == nullptr || agent.process->Poll().has_value();
           });
  };
  context_->clock->WaitFor(may_leave, kStopWaitMs, kStopPollMs);
  for (Agent& agent : agents_) {
    channel_->Forget(agent.id);
    agent.process.reset();
  }
}

int64_t AgentCount(const jobs::JobSpec& spec) {
  if (spec.launch.agents > 0) return spec.launch.agents;
  return std::max<int64_t>(1, std::thread::hardware_concurrency());
}

std::string AgentLogPath(const JobContext& context, const std::string& agent) {
  return JoinPath(context.home.JobLogs(context.job.value()), agent + ".log");
}

}  // namespace halcyon::coordinator
