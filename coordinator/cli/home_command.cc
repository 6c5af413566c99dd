#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "coordinator/cli/commands.h"
#include "coordinator/submit/local_queue.h"
#include "storage/sharing.h"

namespace halcyon::coordinator {
namespace {

struct ShareArguments {
  std::string group;
  bool off = false;
};

absl::Status ShareWith(const storage::HomeLayout& home, const std::string& group) {
  if (!LocalQueue(*Env::Posix(), home).Waiting().empty()) {
    return InvalidArgument(home.root +
                           ": jobs wait in its queue, and a shared folder has none; wait for them "
                           "or cancel them first");
  }
  ASSIGN_OR_RETURN(const storage::SharingResult result, storage::ShareHome(home, group));
  PrintText(fmt::format("{} is shared with group {}\n", home.root, result.sharing.group));
  if (result.left > 0) {
    PrintText(fmt::format("{} entries of other users were left as they are\n", result.left));
  }
  for (const std::string& folder : result.closed_above) {
    PrintText(
        fmt::format("members cannot pass {}: run `chmod o+x` on it, or move the folder\n", folder));
  }
  return absl::OkStatus();
}

absl::Status ShareCommand(const ShareArguments& arguments, const std::string& home_flag) {
  if (arguments.off == !arguments.group.empty()) {
    return InvalidArgument("give either --group GROUP or --off");
  }
  ASSIGN_OR_RETURN(const std::string root, storage::ChooseHome(home_flag));
  if (arguments.off) {
    RETURN_IF_ERROR(storage::UnshareHome(storage::HomeLayout{root}));
    PrintText(root + " is not shared\n");
    return absl::OkStatus();
  }
  // Makes one that is not there yet. One whose modes contradict is what this command mends.
  const auto opened = storage::OpenHome(root);
  if (!opened.ok() && !absl::IsFailedPrecondition(opened.status())) return opened.status();
  return ShareWith(storage::HomeLayout{root}, arguments.group);
}

}  // namespace

void AddHome(CLI::App& app, CommandLine* line) {
  CLI::App* home = app.add_subcommand("home", "The state folder");
  home->require_subcommand(1);
  const auto arguments = std::make_shared<ShareArguments>();
  CLI::App* share = home->add_subcommand(
      "share", "Let the members of a group use this state folder, each with jobs of their own");
  share->add_option("--group", arguments->group, "The group's name or number");
  share->add_flag("--off", arguments->off, "End sharing: take the group's rights away");
  share->callback([=] { line->chosen = [=] { return ShareCommand(*arguments, line->home); }; });
}

}  // namespace halcyon::coordinator
