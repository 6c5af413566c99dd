#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "coordinator/cli/commands.h"
#include "coordinator/housekeeping/remove_job.h"
#include "coordinator/recovery.h"

namespace halcyon::coordinator {
namespace {

struct RmArguments {
  std::string job;
  bool dry_run = false;
  bool json = false;
};

nlohmann::json RemovalToJson(const RemovalPlan& plan, bool dry_run) {
  nlohmann::json removed = nlohmann::json::array(), kept = nlohmann::json::array();
  for (const RemovedPath& part : plan.removed) {
    removed.push_back({{"path", part.path}, {"bytes", part.bytes}});
  }
  for (const KeptPath& part : plan.kept) {
    kept.push_back({{"path", part.path}, {"needed_by", part.needed_by}});
  }
  return {{"job_id", plan.job_id},
          {"dry_run", dry_run},
          {"bytes", plan.bytes_freed},
          {"removed", std::move(removed)},
          {"kept", std::move(kept)}};
}

std::string RemovalText(const RemovalPlan& plan, bool dry_run) {
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

absl::Status Rm(const RmArguments& arguments, const std::string& home_flag) {
  Env& env = *Env::Posix();
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  ASSIGN_OR_RETURN(const std::string id, ResolveJob(env, home, arguments.job));
  std::shared_ptr<storage::Lease> lease;
  if (!arguments.dry_run) {
    ASSIGN_OR_RETURN(lease, TakeJob(env, *Clock::Real(), home, id));
  } else if (const auto owner = LivingOwnerOf(env, *Clock::Real(), home, id)) {
    return InvalidArgument(owner->ToString() + " is running; stop it first");
  }
  ASSIGN_OR_RETURN(RemovalPlan plan, PlanRemoval(env, home, id));
  if (!arguments.dry_run) RETURN_IF_ERROR(Remove(env, *Clock::Real(), home, &plan));
  if (arguments.json) {
    PrintJson(RemovalToJson(plan, arguments.dry_run));
  } else {
    PrintText(RemovalText(plan, arguments.dry_run));
  }
  return absl::OkStatus();
}

}  // namespace

void AddRm(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<RmArguments>();
  CLI::App* command = app.add_subcommand(
      "rm", "Remove a job, with the artifacts and unfinished work that only it used");
  command->add_option("job", arguments->job, "The job's id, or its name")->required();
  command->add_flag("--dry-run", arguments->dry_run, "Only print what would be removed");
  command->add_flag("--json", arguments->json, "Print as JSON");
  command->callback([=] { line->chosen = [=] { return Rm(*arguments, line->home); }; });
}

}  // namespace halcyon::coordinator
