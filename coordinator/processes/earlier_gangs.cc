#include "coordinator/processes/earlier_gangs.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "coordinator/run/gang_stage.h"
#include "storage/strict_json.h"

namespace halcyon::coordinator {

nlohmann::json ToJson(const EarlierGangRecord& gang) {
  return {{"fingerprint", gang.fingerprint},
          {"claim", gang.claim},
          {"launch", gang.launch},
          {"ranks", gang.ranks},
          {"launcher", gang.launcher}};
}

absl::StatusOr<EarlierGangRecord> EarlierGangFromJson(const nlohmann::json& from) {
  EarlierGangRecord gang;
  ASSIGN_OR_RETURN(gang.fingerprint, storage::StringMember(from, "fingerprint"));
  ASSIGN_OR_RETURN(gang.claim, storage::UnsignedMember(from, "claim"));
  ASSIGN_OR_RETURN(gang.launch, storage::UnsignedMember(from, "launch"));
  ASSIGN_OR_RETURN(gang.ranks, storage::UnsignedMember(from, "ranks"));
  ASSIGN_OR_RETURN(const nlohmann::json* launcher, storage::Member(from, "launcher"));
  gang.launcher = *launcher;
  return gang;
}

EarlierGangs FindEarlierGangs(const storage::JobHistory& history, cluster::GangLauncher& launcher) {
  EarlierGangs found;
  for (const auto& [label, json] : history.gangs) {
    auto gang = EarlierGangFromJson(json);
    if (!gang.ok()) {
      spdlog::warn("the journal's record of the gang of {}: {}", label, MessageOf(gang.status()));
      continue;
    }
    const auto handle = launcher.Adopt(gang->launcher);
    if (!handle.ok()) {
      spdlog::info("{}: not adopted: {}", label, MessageOf(handle.status()));
      continue;
    }
    (*handle)->Leave();
    found.emplace(label, *std::move(gang));
  }
  return found;
}

void EndEarlierGangs(const storage::JobHistory& history, cluster::GangLauncher& launcher) {
  for (const auto& [label, gang] : FindEarlierGangs(history, launcher)) {
    // The handle ends what it is destroyed with.
    const auto handle = launcher.Adopt(gang.launcher);
    if (handle.ok()) spdlog::warn("{}: a launch of an earlier run is killed", label);
  }
}

std::string LauncherName(const std::string& label) { return label + "-launcher"; }

bool IsOfGangs(const std::string& process_name, const EarlierGangs& gangs) {
  return std::any_of(gangs.begin(), gangs.end(), [&](const auto& gang) {
    return process_name == LauncherName(gang.first) ||
           process_name.starts_with(RankPrefix(gang.first) + "-");
  });
}

}  // namespace halcyon::coordinator
