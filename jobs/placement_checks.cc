// [launch]: which hosts take part, and how they are reached.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "jobs/hosts.h"
#include "jobs/spec_checks.h"
#include "jobs/spec_keys.h"

namespace halcyon::jobs {

void CheckPlacement(const PlacementSpec& placement, const SpecLines& lines, SpecErrors& errors) {
  const auto refuse = [&](const std::vector<std::string>& paths, const std::string& message) {
    Refuse(paths, message, lines, errors);
  };
  bool are_hosts = true;
  for (size_t i = 0; i < placement.hosts.size(); ++i) {
    const auto host = ParseHost(placement.hosts[i]);
    if (!host.ok()) refuse({fmt::format("launch.hosts[{}]", i)}, MessageOf(host.status()));
    are_hosts = are_hosts && host.ok();
  }
  if (const auto hosts = ParseHosts(placement.hosts); are_hosts && !hosts.ok()) {
    refuse({"launch.hosts"}, MessageOf(hosts.status()));
  }
  if (!placement.hosts.empty() && !placement.hostfile.empty()) {
    refuse({"launch.hostfile", "launch.hosts"}, "both name the hosts; remove one of the two");
  }
  if (placement.launcher == LauncherKind::kExternal) {
    const std::pair<const char*, bool> others[] = {
        {"launch.hosts", !placement.hosts.empty()},
        {"launch.hostfile", !placement.hostfile.empty()},
        {"launch.interfaces", !placement.interfaces.empty()},
        {"launch.transports", !placement.transports.empty()},
        {"launch.bind", placement.bind != Binding::kNone},
        {"launch.rsh_agent", !placement.rsh_agent.empty()}};
    for (const auto& [path, is_set] : others) {
      if (!is_set) continue;
      refuse({path, "launch.launcher"},
             "has no effect with launcher = \"external\", where something else starts the ranks; "
             "remove it");
    }
  }
  // They become arguments of programs, which take some characters for more than a text.
  const std::pair<const char*, const std::string*> arguments[] = {
      {"launch.coordinator_address", &placement.coordinator_address},
      {"launch.interfaces", &placement.interfaces},
      {"launch.transports", &placement.transports},
      {"launch.rsh_agent", &placement.rsh_agent}};
  for (const auto& [path, text] : arguments) {
    const bool is_agent = text == &placement.rsh_agent;
    const auto allowed = [is_agent](unsigned char c) {
      constexpr std::string_view kMarks = "._-/,:^[]%@=+";
      return std::isalnum(c) != 0 || kMarks.find(static_cast<char>(c)) != kMarks.npos ||
             (is_agent && c == ' ');
    };
    if (!text->starts_with('-') && std::all_of(text->begin(), text->end(), allowed)) continue;
    refuse({path}, fmt::format("{} holds a character that is not allowed there; use letters, "
                               "digits and any of . _ - / , : ^ [ ] % @ = +, not '-' first",
                               Quoted(*text)));
  }
}

}  // namespace halcyon::jobs
