// What the trace says of events and effects.
#include "tests/simulation/world.h"

namespace halcyon::simulation {

namespace event = coordinator::event;
namespace effect = coordinator::effect;

namespace {

std::string Outcome(const absl::Status& status) { return status.ok() ? "OK" : status.ToString(); }

// "" for what happens all the time.
struct EventText {
  const Job* job;

  std::string Stage(const char* what, jobs::NodeId stage, const absl::Status& status) const {
    return what + (" " + job->graph.node(stage).label) + ": " + Outcome(status);
  }
  std::string operator()(const event::Tick&) const { return ""; }
  std::string operator()(const event::Beats&) const { return ""; }
  std::string operator()(const event::Received& received) const {
    const cluster::Message& message = received.message;
    std::string text = std::string(cluster::TypeName(message.body)) + " of " + message.worker.name +
                       ":" + std::to_string(message.worker.incarnation);
    if (const auto* done = std::get_if<cluster::TaskDone>(&message.body)) {
      text += ", " + done->task + ", fence " + std::to_string(done->fence);
    }
    return text;
  }
  std::string operator()(const event::StopRequested& stop) const {
    return "stop asked for, " + std::to_string(stop.requests);
  }
  std::string operator()(const event::Paused&) const { return "paused"; }
  std::string operator()(const event::Suspected& one) const { return "suspect " + one.worker.name; }
  std::string operator()(const event::AgentEnded& one) const { return "ended " + one.agent.name; }
  std::string operator()(const event::LauncherEnded& one) const {
    return Stage("launcher ended", one.stage, absl::OkStatus());
  }
  std::string operator()(const event::JobChecked& one) const {
    return "job checked: " + Outcome(one.status);
  }
  std::string operator()(const event::StageFound& one) const {
    return Stage("found", one.stage, one.found.status());
  }
  std::string operator()(const event::StagePrepared& one) const {
    return Stage("prepared", one.stage, one.prepared.status());
  }
  std::string operator()(const event::Ingested& one) const {
    return Stage("ingested of", one.stage, one.status) + ", fence " +
           std::to_string(one.fence.value());
  }
  std::string operator()(const event::LaunchPrepared& one) const {
    return Stage("launch prepared", one.stage, one.status);
  }
  std::string operator()(const event::Launched& one) const {
    return Stage("launched", one.stage, one.status);
  }
  std::string operator()(const event::LaunchWaits& one) const { return one.waits_for; }
  std::string operator()(const event::Adopted& one) const {
    return Stage("adopted", one.stage, one.status);
  }
  std::string operator()(const event::LeaseLost& one) const { return Outcome(one.status); }
  std::string operator()(const event::RoomChecked&) const { return ""; }
  std::string operator()(const event::RanksEnded& one) const {
    return Stage("ranks ended", one.stage, one.remains.status());
  }
  std::string operator()(const event::Installed& one) const {
    return Stage("installed", one.stage, one.warning.status());
  }
  std::string operator()(const event::Broken& one) const { return Outcome(one.status); }
};

}  // namespace

void World::NoteEvent(const Job& job, const coordinator::Event& event) {
  // It is repeated with every tick.
  const auto* suspected = std::get_if<event::Suspected>(&event);
  if (suspected != nullptr && !suspects_.emplace(job.number(), suspected->worker).second) return;
  const std::string text = std::visit(EventText{&job}, event);
  if (!text.empty()) Note(job.prefix() + "-> " + text);
}

void World::NoteEffect(const Job& job, const coordinator::Effect& effect) {
  const std::string arrow = job.prefix() + "<- ";
  if (const auto* send = std::get_if<effect::Send>(&effect)) {
    std::string text(cluster::TypeName(send->body));
    if (const auto* lease = std::get_if<cluster::Lease>(&send->body)) {
      text += " of " + lease->task + ", fence " + std::to_string(lease->fence);
    }
    Note(arrow + text + " to " + send->worker.name + ":" +
         std::to_string(send->worker.incarnation));
  } else if (const auto* start = std::get_if<effect::StartAgent>(&effect)) {
    Note(arrow + "start " + start->agent.name + ":" + std::to_string(start->agent.incarnation));
  } else if (const auto* end = std::get_if<effect::EndAgent>(&effect)) {
    Note(arrow + "end " + end->agent.name + ":" + std::to_string(end->agent.incarnation));
  } else if (const auto* launch = std::get_if<effect::Launch>(&effect)) {
    Note(arrow + "launch " + job.graph.node(launch->stage).label + ", " +
         std::to_string(launch->launch));
  } else if (const auto* kill = std::get_if<effect::KillGang>(&effect)) {
    Note(arrow + "kill " + job.graph.node(kill->stage).label);
  } else if (const auto* install = std::get_if<effect::Install>(&effect)) {
    Note(arrow + "install " + job.graph.node(install->stage).label);
  } else if (const auto* tell = std::get_if<effect::Tell>(&effect)) {
    Note(arrow + "\"" + tell->line + "\"");
  }
}

}  // namespace halcyon::simulation
