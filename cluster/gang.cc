#include "cluster/gang.h"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/clock.h"
#include "base/process_identity.h"

namespace halcyon::cluster {
namespace {

// A kill command that hangs, because its controller does not answer, must not keep the launcher.
// Slurm's commands wait 10 s for a node or controller that does not answer, by default.
constexpr int64_t kKillCommandMsMax = 15'000;

std::unique_ptr<ChildProcess> StartKillCommand(const std::vector<std::string>& command) {
  ProcessOptions options;
  options.argv = command;
  options.output_path = "/dev/null";
  options.working_dir = "/";
  auto started = ChildProcess::Spawn(options);
  if (started.ok()) return *std::move(started);
  spdlog::warn("{} could not be started: {}", command[0], MessageOf(started.status()));
  return nullptr;
}

// Empty when the process has ended: what it left behind has another parent now.
std::vector<ProcessIdentity> ProcessesBelow(const ProcessIdentity& process) {
  std::vector<ProcessIdentity> below;
  if (!IsAlive(process)) return below;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto identity = IdentityOfProcess(static_cast<pid_t>(std::atol(name.c_str())));
    if (!identity || identity->pid == process.pid) continue;
    if (DescendsFrom(*identity, process.pid)) below.push_back(*identity);
  }
  return below;
}

class ProcessGang final : public Gang {
 public:
  // `child`: null for a launcher that another process has started.
  ProcessGang(ProcessIdentity launcher, std::unique_ptr<ChildProcess> child,
              GangDescription description)
      : launcher_(launcher), child_(std::move(child)), description_(std::move(description)) {}

  ~ProcessGang() override {
    if (end_ || left_) return;
    Kill();
    if (killer_ != nullptr) {
      Clock::Real()->WaitFor([this] { return killer_->Poll().has_value(); }, kKillCommandMsMax);
    }
    KillLauncher();
  }

  std::optional<GangEnd> Poll() override {
    if (end_) return end_;
    if (killer_ != nullptr && KillerIsDone()) {
      killer_.reset();
      KillLauncher();
    }
    if (child_ != nullptr) {
      if (const auto exit = child_->Poll()) end_ = GangEnd{exit};
    } else if (!IsAlive(launcher_)) {
      end_ = GangEnd{};
    }
    return end_;
  }

  void Kill() override {
    if (end_ || killed_) return;
    killed_ = true;
    if (!description_.kill_command.empty()) killer_ = StartKillCommand(description_.kill_command);
    kill_began_ms_ = Clock::Real()->MonotonicMs();
    if (killer_ == nullptr) KillLauncher();
  }

  void Leave() override {
    left_ = true;
    if (child_ != nullptr) child_->Leave();
  }

  std::optional<ProcessIdentity> launcher() const override { return launcher_; }

  const std::vector<std::string>& hosts() const override { return description_.hosts; }

  nlohmann::json record() const override {
    const LocatedProcess here = LocatedProcess::OfThisMachine(launcher_);
    return {{"launcher", description_.launcher},
            {"hosts", description_.hosts},
            {"kill_command", description_.kill_command},
            {"host", here.host},
            {"boot_id", here.boot_id},
            {"pid_namespace", here.pid_namespace},
            {"pid", launcher_.pid},
            {"start_time", launcher_.start_time}};
  }

 private:
  bool KillerIsDone() {
    return killer_->Poll().has_value() ||
           Clock::Real()->MonotonicMs() - kill_began_ms_ > kKillCommandMsMax;
  }

  void KillLauncher() {
    // mpirun puts each rank of its own host into a group of its own. One that has not joined MPI
    // yet would not notice that its launcher is gone.
    const std::vector<ProcessIdentity> below = ProcessesBelow(launcher_);
    if (child_ != nullptr) {
      child_->SignalGroup(SIGKILL);
    } else if (IsAlive(launcher_)) {
      kill(-launcher_.pid, SIGKILL);  // a launcher leads a group of its own
    }
    for (const ProcessIdentity& process : below) KillProcess(process);
  }

  const ProcessIdentity launcher_;
  const std::unique_ptr<ChildProcess> child_;
  const GangDescription description_;
  std::unique_ptr<ChildProcess> killer_;  // the kill command, while it runs
  bool killed_ = false, left_ = false;
  int64_t kill_began_ms_ = 0;
  std::optional<GangEnd> end_;
};

}  // namespace

std::string GangEnd::ToString() const {
  if (!failure.ok()) return MessageOf(failure);
  return exit ? exit->ToString() : "an exit code that is not known";
}

std::unique_ptr<Gang> MakeGang(std::unique_ptr<ChildProcess> launcher,
                               GangDescription description) {
  // One that has ended already has no start time, which nobody needs then.
  const ProcessIdentity identity =
      IdentityOfProcess(launcher->pid()).value_or(ProcessIdentity{launcher->pid(), 0});
  return std::make_unique<ProcessGang>(identity, std::move(launcher), std::move(description));
}

absl::StatusOr<std::unique_ptr<Gang>> AdoptGang(const nlohmann::json& record) {
  LocatedProcess place;
  GangDescription description;
  try {
    description = {record.at("launcher"), record.at("hosts"), record.at("kill_command")};
    place = {record.at("host"),
             record.at("boot_id"),
             record.at("pid_namespace"),
             {record.at("pid").get<pid_t>(), record.at("start_time").get<uint64_t>()}};
  } catch (const nlohmann::json::exception& error) {
    return DataLoss(std::string("the record of a gang: ") + error.what());
  }
  const ProcessIdentity& launcher = place.process;
  const LocatedProcess here = LocatedProcess::OfThisMachine(launcher);
  const std::string shown = description.launcher + " (pid " + std::to_string(launcher.pid) + ")";
  if (place.boot_id == here.boot_id && place.pid_namespace != here.pid_namespace) {
    return FailedPrecondition(shown + " was started in another container of " + place.host);
  }
  if (place.boot_id != here.boot_id && place.host != here.host) {
    return FailedPrecondition(shown + " was started on " + place.host);
  }
  // After another boot no process of this machine is left.
  if (place.boot_id == here.boot_id && IsAlive(launcher)) {
    return std::make_unique<ProcessGang>(launcher, nullptr, std::move(description));
  }
  if (!description.kill_command.empty()) {
    const auto killer = StartKillCommand(description.kill_command);
    if (killer != nullptr) {
      Clock::Real()->WaitFor([&] { return killer->Poll().has_value(); }, kKillCommandMsMax);
    }
  }
  return NotFound(shown + " has ended");
}

}  // namespace halcyon::cluster
