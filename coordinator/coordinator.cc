#include "coordinator/coordinator.h"

#include <span>

namespace halcyon::coordinator {
namespace {

EarlierLaunches LaunchesOf(const EarlierGangs& gangs) {
  EarlierLaunches launches;
  for (const auto& [label, gang] : gangs) launches[label] = gang.launch;
  return launches;
}

// Of no two coordinators of a job does any agent have the same number, also when it goes on
// unnoticed.
uint64_t FirstAgentStart(Incarnation incarnation) { return incarnation.value() << 32; }

std::optional<jobs::StageKind> LastStage(const std::string& until) {
  const auto stage = jobs::StageFromName(until);
  return stage.ok() ? std::optional(*stage) : std::nullopt;
}

}  // namespace

Coordinator::Coordinator(const JobContext* context)
    : context_(context),
      run_(
          jobs::StageGraph(std::span(&context->spec, 1)),
          {.agents = AgentCount(context->spec, context->allocation),
           .ranks = context->spec.launch.ranks,
           .restarts_max = context->spec.launch.restarts_max,
           .ranks_min = context->spec.launch.ranks_min,
           .places_ranks = context->spec.launch.placement.launcher != jobs::LauncherKind::kExternal,
           .hang = {.floor_ms = 1000 * context->spec.launch.hang_floor_s,
                    .factor = context->spec.launch.hang_factor},
           .until = LastStage(context->until)},
          {.launches = LaunchesOf(context->earlier_gangs),
           .agents = AgentsOf(context->earlier_agents),
           .agent_starts = FirstAgentStart(context->incarnation)}),
      service_(context, &run_.graph()) {}

absl::StatusOr<std::map<jobs::StageKind, Artifact>> Coordinator::Run() {
  service_.Execute(run_.Start());
  while (!run_.end()) {
    const Event event = service_.Next();
    service_.Execute(run_.On(event, context_->clock->MonotonicMs()));
  }
  const absl::Status finished = service_.Finish();
  RETURN_IF_ERROR(*run_.end());
  RETURN_IF_ERROR(finished);
  std::map<jobs::StageKind, Artifact> artifacts;
  for (size_t i = 0; i < run_.graph().size(); ++i) {
    const Artifact* artifact = service_.files().artifact(NodeId(i));
    if (artifact != nullptr) artifacts[run_.graph().node(NodeId(i)).kind] = *artifact;
  }
  return artifacts;
}

}  // namespace halcyon::coordinator
