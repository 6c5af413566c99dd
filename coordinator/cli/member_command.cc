// member: what torchrun, a Kubernetes operator or the like starts once for each rank.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/exit_code.h"
#include "base/logging.h"
#include "cluster/external_member.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/number_check.h"
#include "coordinator/run_job.h"
#include "coordinator/stop_signals.h"
#include "storage/lease.h"

namespace halcyon::coordinator {
namespace {

struct MemberArguments {
  std::string job_file;
  std::vector<std::string> set_words;
  int64_t wait_s = 600, stop_grace_s = 25;
};

absl::Status CheckWorld(const jobs::JobSpec& spec, const std::string& job_file,
                        const cluster::ExternalWorld& world) {
  if (spec.launch.placement.launcher != jobs::LauncherKind::kExternal) {
    return InvalidArgument(job_file +
                           ": launch.launcher is not \"external\": `halcyon run` starts its ranks "
                           "itself, and needs no members");
  }
  if (spec.launch.ranks == world.size) return absl::OkStatus();
  return InvalidArgument(
      fmt::format("WORLD_SIZE={} in the environment, but launch.ranks is {} in "
                  "{}: there is one member for each rank",
                  world.size, spec.launch.ranks, job_file));
}

// How the job ended, as the status with that exit code.
absl::Status EndWithCode(const std::string& job, int code) {
  const std::string how = fmt::format("job {} has ended with exit code {}", job, code);
  switch (static_cast<ExitCode>(code)) {
    case ExitCode::kDone:
      return absl::OkStatus();
    case ExitCode::kBadInput:
      return InvalidArgument(how);
    case ExitCode::kPreempted:
      return Aborted(how);
    case ExitCode::kDiskFull:
      return ResourceExhausted(how);
    case ExitCode::kCancelled:
      return absl::CancelledError(ToAbsl(how));
    default:
      return Internal(how);
  }
}

absl::Status RunMember(const MemberArguments& arguments, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const cluster::ExternalWorld world, cluster::ExternalWorldOfThisProcess());
  ASSIGN_OR_RETURN(const jobs::JobSpec spec, LoadJob(arguments.job_file, arguments.set_words));
  RETURN_IF_ERROR(CheckWorld(spec, arguments.job_file, world));
  Env& env = *Env::Posix();
  ASSIGN_OR_RETURN(const std::string root, storage::ChooseHome(home_flag));
  ASSIGN_OR_RETURN(const storage::HomeLayout home, storage::OpenHome(root));
  const std::string job = JobIdOf(spec.name, AbsolutePath(arguments.job_file)).value();
  CountStopSignals();
  cluster::MemberOptions options;
  options.folder = cluster::ExternalFolder(home.Job(job));
  options.world = world;
  options.coordinator_wait_ms = 1000 * arguments.wait_s;
  options.signals = [] { return StopSignals(); };
  options.stop_grace_ms = 1000 * arguments.stop_grace_s;
  options.coordinator_sign = [&env, owner = home.Owner(job)] {
    const auto view = storage::LookAtLease(env, owner);
    return view.ok() ? fmt::format("{}/{}", view->number, view->beat) : "";
  };
  spdlog::info("member of job {}: rank {} of {}", job, world.rank, world.size);
  cluster::ExternalMember member(env, *Clock::Real(), options);
  ASSIGN_OR_RETURN(const int code, member.Run());
  return EndWithCode(job, code);
}

}  // namespace

void AddMember(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<MemberArguments>();
  CLI::App* command = app.add_subcommand(
      "member",
      "Start one rank for a job with launch.launcher = \"external\": run it once a rank by "
      "torchrun "
      "--no-python, or by anything that sets RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and "
      "MASTER_PORT");
  command->add_option("job_file", arguments->job_file, "The job file")->required();
  AddSet(command, &arguments->set_words);
  command
      ->add_option("--wait", arguments->wait_s,
                   "Seconds without a coordinator after which it ends (600)")
      ->check(WholeNumber(1, int64_t{1} << 30));
  command
      ->add_option("--stop-grace", arguments->stop_grace_s,
                   "Seconds that its rank has to end by itself after a signal to the member (25)")
      ->check(WholeNumber(0, int64_t{1} << 30));
  command->callback([=] { line->chosen = [=] { return RunMember(*arguments, line->home); }; });
}

}  // namespace halcyon::coordinator
