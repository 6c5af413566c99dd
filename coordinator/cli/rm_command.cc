#include <CLI/CLI.hpp>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/removal_text.h"
#include "coordinator/housekeeping/remove_job.h"
#include "coordinator/processes/recovery.h"

namespace halcyon::coordinator {
namespace {

struct RmArguments {
  std::string job;
  bool dry_run = false;
  bool json = false;
};

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
    nlohmann::json json = RemovalToJson(plan, arguments.dry_run);
    json["job_id"] = id;
    PrintJson(json);
  } else {
    PrintText(RemovalToText(plan, arguments.dry_run));
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
