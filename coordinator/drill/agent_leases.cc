#include "coordinator/drill/agent_leases.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "coordinator/housekeeping/log_record.h"

namespace halcyon::coordinator {
namespace {

constexpr char kCoordinatorLog[] = "coordinator";
// As coordinator/run/task_stage.cc writes it: "lease latents/3 to agent-0, fence 7".
constexpr std::string_view kLeaseBegins = "lease ", kLeaseTo = " to ", kLeaseEnds = ", fence ";

std::optional<AgentLease> LeaseIn(std::string_view message) {
  if (!message.starts_with(kLeaseBegins)) return std::nullopt;
  message.remove_prefix(kLeaseBegins.size());
  const size_t to = message.find(kLeaseTo), end = message.find(kLeaseEnds);
  if (to == std::string_view::npos || end == std::string_view::npos || end < to) {
    return std::nullopt;
  }
  const size_t agent = to + kLeaseTo.size();
  return AgentLease{std::string(message.substr(0, to)),
                    std::string(message.substr(agent, end - agent))};
}

}  // namespace

std::vector<AgentLease> LeasesIn(const std::vector<LogLine>& lines, const std::string& stage) {
  std::vector<AgentLease> leases;
  for (const LogLine& line : lines) {
    const auto record = ParseLogLine(line.text);
    auto lease = record ? LeaseIn(record->message) : std::nullopt;
    if (lease && lease->task.starts_with(stage + "/")) leases.push_back(*std::move(lease));
  }
  return leases;
}

std::string WarningAbout(const std::vector<LogLine>& lines, const std::string& agent) {
  for (const LogLine& line : lines) {
    const auto record = ParseLogLine(line.text);
    if (!record || record->level != "warning") continue;
    if (record->message.find(agent + " ") != std::string::npos) return record->message;
  }
  return "";
}

bool IsWorkGivenOutAgain(const std::vector<LogLine>& lines, const std::string& stage,
                         const std::string& agent) {
  // As coordinator/run/agent_pool.cc writes it: "(latents/3) agent-0 ended ...".
  const std::string warning = WarningAbout(lines, agent);
  const size_t end = warning.find(')');
  if (!warning.starts_with('(') || end == std::string::npos) return false;
  const std::string task = warning.substr(1, end - 1);
  if (!task.starts_with(stage + "/")) return true;
  const std::vector<AgentLease> leases = LeasesIn(lines, stage);
  return std::count_if(leases.begin(), leases.end(),
                       [&](const AgentLease& lease) { return lease.task == task; }) > 1;
}

std::vector<LogLine> CoordinatorLines(Env& env, const storage::HomeLayout& home,
                                      const std::string& job_id) {
  LogReader reader(env, home.JobLogs(job_id), kCoordinatorLog);
  auto lines = reader.Next();
  return lines.ok() ? *std::move(lines) : std::vector<LogLine>();
}

}  // namespace halcyon::coordinator
