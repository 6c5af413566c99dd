#include "coordinator/cli/removal_text.h"

#include <fmt/format.h>

#include <utility>

#include "coordinator/cli/commands.h"

namespace halcyon::coordinator {

nlohmann::json RemovalToJson(const RemovalPlan& plan, bool dry_run) {
  nlohmann::json removed = nlohmann::json::array(), kept = nlohmann::json::array();
  for (const RemovedPath& part : plan.removed) {
    removed.push_back({{"path", part.path}, {"bytes", part.bytes}});
  }
  for (const KeptPath& part : plan.kept) {
    kept.push_back({{"path", part.path}, {"needed_by", part.needed_by}});
  }
  return {{"dry_run", dry_run},
          {"bytes", plan.bytes_freed},
          {"removed", std::move(removed)},
          {"kept", std::move(kept)}};
}

std::string RemovalToText(const RemovalPlan& plan, bool dry_run) {
  std::string text;
  for (const RemovedPath& part : plan.removed) {
    text += fmt::format("{:<13} {:>10}  {}\n", dry_run ? "would remove" : "removed",
                        FormatBytes(part.bytes), part.path);
  }
  for (const KeptPath& part : plan.kept) {
    text +=
        fmt::format("{:<13} {:>10}  {} (needed by {})\n", "kept", "", part.path, part.needed_by);
  }
  return text + fmt::format("{} {} ({} bytes)\n", dry_run ? "would free" : "freed",
                            FormatBytes(plan.bytes_freed), plan.bytes_freed);
}

}  // namespace halcyon::coordinator
