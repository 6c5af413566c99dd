#include "coordinator/processes/earlier_agents.h"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <utility>

#include "base/digest.h"
#include "storage/strict_json.h"

namespace halcyon::coordinator {

nlohmann::json ToJson(const EarlierAgentRecord& agent) {
  return {
      {"incarnation", agent.incarnation}, {"origin", agent.origin}, {"launcher", agent.launcher}};
}

absl::StatusOr<EarlierAgentRecord> EarlierAgentFromJson(const nlohmann::json& from) {
  EarlierAgentRecord agent;
  ASSIGN_OR_RETURN(agent.incarnation, storage::UnsignedMember(from, "incarnation"));
  ASSIGN_OR_RETURN(agent.origin, storage::StringMember(from, "origin"));
  ASSIGN_OR_RETURN(const nlohmann::json* launcher, storage::Member(from, "launcher"));
  agent.launcher = *launcher;
  return agent;
}

std::string OriginOfAgents(const std::string& worker_program, const jobs::JobSpec& spec) {
  Xxh3Hasher hasher;
  std::error_code error;
  hasher.Update(std::to_string(std::filesystem::file_size(worker_program, error)) + " ");
  const auto written = std::filesystem::last_write_time(worker_program, error);
  hasher.Update(std::to_string(written.time_since_epoch().count()) + " ");
  hasher.Update(jobs::ToToml(spec));
  return Hex64(hasher.Digest());
}

EarlierAgents TakeEarlierAgents(const storage::JobHistory& history, const std::string& origin,
                                cluster::GangLauncher& launcher) {
  EarlierAgents taken;
  for (const auto& [name, json] : history.agents) {
    auto agent = EarlierAgentFromJson(json);
    if (!agent.ok()) {
      spdlog::warn("the journal's record of {}: {}", name, MessageOf(agent.status()));
      continue;
    }
    // The handle ends what it is destroyed with.
    const auto handle = launcher.Adopt(agent->launcher);
    if (!handle.ok()) {
      spdlog::info("{}: not adopted: {}", name, MessageOf(handle.status()));
    } else if (agent->origin != origin) {
      spdlog::warn("{} of an earlier run is killed: another program or job file began it", name);
    } else {
      (*handle)->Leave();
      taken.emplace(name, *std::move(agent));
    }
  }
  return taken;
}

std::vector<EarlierAgent> AgentsOf(const EarlierAgents& agents) {
  std::vector<EarlierAgent> found;
  for (const auto& [name, agent] : agents) {
    EarlierAgent& one = found.emplace_back();
    one.id = {name, agent.incarnation};
    // The record was read by the launcher that has found the process.
    if (agent.launcher.at("launcher") == cluster::kNoLauncher) {
      one.process = {agent.launcher.at("pid").get<pid_t>(),
                     agent.launcher.at("start_time").get<uint64_t>()};
    }
  }
  return found;
}

}  // namespace halcyon::coordinator
