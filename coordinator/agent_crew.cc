#include "coordinator/agent_crew.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "base/check.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kStopWaitMs = 5000;
constexpr int64_t kStopPollMs = 20;
constexpr char kNamePrefix[] = "agent-";

}  // namespace

AgentCrew::AgentCrew(const JobContext* context, Switchboard* board, Scheduler* scheduler,
                     ProcessRegistry* registry, int64_t agents)
    : context_(context), board_(board), scheduler_(scheduler), registry_(registry) {
  HALCYON_CHECK(agents >= 1);
  for (int64_t i = 0; i < agents; ++i) {
    Agent agent;
    agent.id.name = kNamePrefix + std::to_string(i);
    agents_.push_back(std::move(agent));
  }
}

absl::Status AgentCrew::Tend() {
  const std::vector<WorkerId> silent = board_->Silent();
  for (Agent& agent : agents_) {
    if (agent.process) {
      if (const auto exit = agent.process->Poll()) {
        RETURN_IF_ERROR(Lose(&agent, "ended with " + exit->ToString()));
      } else if (std::find(silent.begin(), silent.end(), agent.id) != silent.end()) {
        const std::string phase = board_->PhaseOf(agent.id);
        RETURN_IF_ERROR(Lose(&agent, "fell silent" + (phase.empty() ? "" : " in " + phase)));
      }
    }
    if (!agent.process) RETURN_IF_ERROR(Start(&agent));
  }
  return absl::OkStatus();
}

absl::Status AgentCrew::Start(Agent* agent) {
  agent->id.incarnation = ++launches_;
  ASSIGN_OR_RETURN(agent->process, context_->agent_spawner->Spawn(agent->id),
                   "cannot start " + agent->id.name);
  return registry_->Add(agent->id.name, agent->process->pid());
}

absl::Status AgentCrew::Lose(Agent* agent, const std::string& how) {
  const std::string task = scheduler_->TaskOf(agent->id).value_or("no task");
  const std::string what = agent->id.name + " " + how + " (" + task + ")";
  spdlog::warn("{}", what);
  context_->observer->Say(what);
  scheduler_->Lost(agent->id);
  board_->Forget(agent->id);
  agent->process.reset();
  if (++agent->ends > context_->spec.launch.restarts_max) {
    return Internal(what + ", " + std::to_string(agent->ends) + " times in a row; see " +
                    AgentLogPath(*context_, agent->id.name));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> AgentCrew::OnMessage(const cluster::Message& message) {
  if (message.worker.name.rfind(kNamePrefix, 0) != 0) return false;
  if (Find(message.worker) == nullptr) {
    board_->Forget(message.worker);
    return true;
  }
  if (std::holds_alternative<cluster::Hello>(message.body)) {
    RETURN_IF_ERROR(board_->Send(message.worker, cluster::Welcome{}));
    return true;
  }
  if (std::holds_alternative<cluster::Ready>(message.body)) {
    scheduler_->Ready(message.worker);
    return true;
  }
  return false;
}

void AgentCrew::Praise(const WorkerId& worker) {
  if (Agent* agent = Find(worker)) agent->ends = 0;
}

bool AgentCrew::IsMember(const WorkerId& worker) const {
  return std::any_of(agents_.begin(), agents_.end(), [&](const Agent& agent) {
    return agent.process != nullptr && agent.id == worker;
  });
}

AgentCrew::Agent* AgentCrew::Find(const WorkerId& worker) {
  for (Agent& agent : agents_) {
    if (agent.process != nullptr && agent.id == worker) return &agent;
  }
  return nullptr;
}

void AgentCrew::Stop() {
  for (const Agent& agent : agents_) {
    if (!agent.process) continue;
    // Best effort: whoever does not hear it is killed below.
    board_->Send(agent.id, cluster::Stop{"the job has ended"}).IgnoreError();
  }
  const auto all_ended = [this] {
    return std::all_of(agents_.begin(), agents_.end(), [](const Agent& agent) {
      return agent.process == nullptr || agent.process->Poll().has_value();
    });
  };
  if (context_->stop_requests() < 2) {
    context_->clock->WaitFor(all_ended, kStopWaitMs, kStopPollMs);
  }
  for (Agent& agent : agents_) {
    board_->Forget(agent.id);
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
