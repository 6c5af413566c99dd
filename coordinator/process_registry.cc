#include "coordinator/process_registry.h"

#include <nlohmann/json.hpp>
#include <optional>

namespace halcyon::coordinator {

absl::Status ProcessRegistry::Add(const std::string& name, pid_t pid) {
  const std::optional<cluster::ProcessIdentity> identity = cluster::IdentityOfProcess(pid);
  if (!identity) return absl::OkStatus();
  processes_[name] = *identity;
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [known, process] : processes_) {
    json[known] = {
        {"pid", process.pid}, {"start_time", process.start_time}, {"boot_id", cluster::BootId()}};
  }
  return WriteFileAtomically(*env_, path_, json.dump(2) + "\n");
}

absl::StatusOr<std::map<std::string, cluster::ProcessIdentity>> ProcessRegistry::Read(
    Env& env, const std::string& path) {
  std::map<std::string, cluster::ProcessIdentity> processes;
  if (!env.Exists(path)) return processes;
  ASSIGN_OR_RETURN(const std::string text, env.ReadFile(path));
  try {
    const nlohmann::json all = nlohmann::json::parse(text);
    for (const auto& [name, json] : all.items()) {
      if (json.at("boot_id").get<std::string>() != cluster::BootId()) continue;
      processes[name] = {json.at("pid").get<pid_t>(), json.at("start_time").get<uint64_t>()};
    }
  } catch (const nlohmann::json::exception& error) {
    return DataLoss(path + ": " + error.what());
  }
  return processes;
}

}  // namespace halcyon::coordinator
