#include "coordinator/process_registry.h"

#include <nlohmann/json.hpp>

namespace halcyon::coordinator {

absl::Status ProcessRegistry::Add(const std::string& name,
                                  const cluster::ProcessIdentity& process) {
  processes_[name] = process;
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [known, one] : processes_) {
    json[known] = {
        {"pid", one.pid}, {"start_time", one.start_time}, {"boot_id", cluster::BootId()}};
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
