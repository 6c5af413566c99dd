#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "base/terminal_text.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/number_check.h"
#include "coordinator/stop_signals.h"
#include "coordinator/submit/local_queue.h"
#include "coordinator/submit/queue_daemon.h"
#include "storage/lease.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kQueueTurnMs = 500;

struct DaemonArguments {
  int64_t slots = 0;
  bool once = false;
  bool until_idle = false;
};

absl::Status RunDaemon(const DaemonArguments& arguments, const std::string& home_flag) {
  Env& env = *Env::Posix();
  ASSIGN_OR_RETURN(const std::string root, storage::ChooseHome(home_flag));
  ASSIGN_OR_RETURN(const storage::HomeLayout home, storage::OpenHome(root));
  RETURN_IF_ERROR(CheckHasQueue(home));
  Clock& clock = *Clock::Real();
  const QueueMachine machine = ThisMachine(arguments.slots);
  storage::LeaseSeeker seeker(env, clock, LocalQueue(env, home).LeaseFolder(machine.host),
                              storage::ThisProcess("the queue on " + machine.host));
  ASSIGN_OR_RETURN(const std::unique_ptr<storage::Lease> lease, seeker.TryTake());
  if (lease == nullptr) {
    return InvalidArgument("the queue of " + root + " is served already, by " +
                           seeker.holder().ToString());
  }
  QueueDaemon daemon(&env, home, machine, StartJobProcess(home),
                     [](const std::string& line) { PrintToStandardError(line + "\n"); });
  // A signal ends this process alone; its jobs are in sessions of their own and go on.
  CountStopSignals();
  while (StopSignals() == 0) {
    RETURN_IF_ERROR(lease->Renew());
    RETURN_IF_ERROR(daemon.Turn());
    if (arguments.once || (arguments.until_idle && daemon.idle())) break;
    clock.SleepMs(kQueueTurnMs);
  }
  return absl::OkStatus();
}

}  // namespace

void AddQueueDaemon(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<DaemonArguments>();
  CLI::App* command = app.add_subcommand(
      "coordinator", "Serve the queue of this machine: start submitted jobs when there is room");
  command
      ->add_option("--slots", arguments->slots,
                   "Ranks times threads of all jobs together, at most; 0: one a processor")
      ->check(WholeNumber(0, kCountMax));
  command->add_flag("--once", arguments->once, "Look once, start what has room, and end");
  command->add_flag("--until-idle", arguments->until_idle, "End when no job waits or runs");
  command->callback([=] { line->chosen = [=] { return RunDaemon(*arguments, line->home); }; });
}

}  // namespace halcyon::coordinator
