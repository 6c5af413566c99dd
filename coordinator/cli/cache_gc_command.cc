#include <CLI/CLI.hpp>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/number_check.h"
#include "coordinator/cli/removal_text.h"
#include "coordinator/housekeeping/unused.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kDayMs = 86'400'000;

struct GcArguments {
  int64_t days = 7;
  uint64_t bytes_max = 0;
  bool dry_run = false;
  bool json = false;
};

absl::Status CollectUnused(const GcArguments& arguments, const std::string& home_flag) {
  Env& env = *Env::Posix();
  Clock& clock = *Clock::Real();
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  const UnusedLimits limits = {.changed_before_ms = clock.WallMs() - arguments.days * kDayMs,
                               .bytes_max = arguments.bytes_max};
  ASSIGN_OR_RETURN(RemovalPlan plan, PlanUnused(env, home, limits));
  if (!arguments.dry_run) RETURN_IF_ERROR(RemoveUnused(env, clock, home, &plan));
  if (arguments.json) {
    PrintJson(RemovalToJson(plan, arguments.dry_run));
  } else {
    PrintText(RemovalToText(plan, arguments.dry_run));
  }
  return absl::OkStatus();
}

}  // namespace

void AddCacheGc(CLI::App* cache, CommandLine* line) {
  const auto arguments = std::make_shared<GcArguments>();
  CLI::App* command =
      cache->add_subcommand("gc", "Remove artifacts and unfinished work that no job uses");
  command->add_option("--older-than", arguments->days, "Days since they were made or written to")
      ->check(WholeNumber(0, 36'500));
  command
      ->add_option("--keep", arguments->bytes_max,
                   "Leave so many bytes of them, the newest: 500000000, 20GB")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true));
  command->add_flag("--dry-run", arguments->dry_run, "Only print what would be removed");
  command->add_flag("--json", arguments->json, "Print as JSON");
  command->callback([=] { line->chosen = [=] { return CollectUnused(*arguments, line->home); }; });
}

}  // namespace halcyon::coordinator
