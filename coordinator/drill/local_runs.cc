#include <signal.h>

#include <utility>

#include "base/clock.h"
#include "base/exit_code.h"
#include "cluster/launcher.h"
#include "cluster/process.h"
#include "coordinator/drill/drill_runs.h"
#include "coordinator/housekeeping/orphans.h"
#include "coordinator/job_status.h"
#include "coordinator/run_job.h"
#include "coordinator/submit/shell.h"
#include "jobs/spec_overrides.h"

namespace halcyon::coordinator {
namespace {

// Each fault ends one coordinator; more ends are another's doing.
constexpr size_t kLocalEndsMax = 3;
constexpr int64_t kLocalStopMsMax = 30'000;

class LocalRuns : public DrillRuns {
 public:
  LocalRuns(Env& env, const DrillFolder& folder, const cluster::Allocation& allocation,
            const std::string& rsh_agent, const std::string& program)
      : env_(env),
        folder_(folder),
        allocation_(allocation),
        rsh_agent_(rsh_agent),
        program_(program) {}
  ~LocalRuns() override { Abandon(); }

  absl::Status Start(const DrillRun& run) override {
    run_ = run;
    ends_.clear();
    ASSIGN_OR_RETURN(const auto overrides, jobs::ParseOverrides(run.set));
    ASSIGN_OR_RETURN(const jobs::JobSpec spec, jobs::LoadJobSpec(run.job_file, overrides));
    job_id_ = JobIdOf(spec.name, AbsolutePath(run.job_file)).value();
    output_path_ = JoinPath(folder_.root, spec.name + ".log");
    return StartProcess();
  }

  std::optional<absl::Status> Poll() override {
    if (child_ == nullptr) return Internal("the job was not started");
    const auto end = child_->Poll();
    if (!end) return std::nullopt;
    if (end->ok()) return absl::OkStatus();
    const bool goes_on = end->signal != 0 || end->code == static_cast<int>(ExitCode::kPreempted);
    if (!goes_on) return Internal("the job ended with " + end->ToString() + ": " + LastLine());
    ends_.push_back(end->signal != 0 ? end->ToString() : WhyStopped());
    if (ends_.size() > kLocalEndsMax)
      return Internal("the job ends again and again: " + LastLine());
    const absl::Status started = StartProcess();
    if (!started.ok()) return started;
    return std::nullopt;
  }

  absl::Status Preempt() override {
    child_->Signal(SIGTERM);
    return absl::OkStatus();
  }

  std::vector<std::string> Ends() const override { return ends_; }

  HostCommand OnHost() const override {
    return [this](const std::string& host, const std::vector<std::string>& words) {
      if (!allocation_.slurm_job.empty()) {
        std::vector<std::string> nodes;
        for (const jobs::Host& node : allocation_.hosts) nodes.push_back(node.name);
        return StepOnHost("srun", allocation_.slurm_job, nodes, host, words);
      }
      std::vector<std::string> command = cluster::RemoteShell(rsh_agent_, host);
      command.push_back(ShellCommand(words));
      return command;
    };
  }

  void Abandon() override {
    if (child_ == nullptr || child_->Poll()) return;
    const auto has_ended = [this] { return child_->Poll().has_value(); };
    child_->Signal(SIGTERM);
    Clock::Real()->WaitFor(has_ended, kLocalStopMsMax);
    child_.reset();
    for (const JobProcess& process : RecordedProcesses(env_, folder_.home(), job_id_)) {
      if (process.is_here) KillProcess(process.process);
    }
  }

  std::vector<std::string> LeftRunning() override {
    std::vector<std::string> left;
    for (const JobProcess& process : RecordedProcesses(env_, folder_.home(), job_id_)) {
      if (process.is_here && IsAlive(process.process)) left.push_back(process.ToString());
    }
    // Every worker holds its job's file, recorded or not.
    if (left.empty() && HasWorkers(env_, folder_.home(), job_id_).value_or(false)) {
      left.push_back("a worker of the job, which has " + folder_.home().AliveFile(job_id_) +
                     " open");
    }
    return left;
  }

 private:
  absl::Status StartProcess() {
    cluster::ProcessOptions options;
    options.argv = {program_, "--home", folder_.home().root, "run", run_.job_file};
    for (const std::string& word : run_.set) {
      options.argv.insert(options.argv.end(), {"--set", word});
    }
    options.env = run_.env;
    options.env["HALCYON_LOG"] = "info";  // the coordinator's log tells of leases
    options.output_path = output_path_;
    options.working_dir = folder_.root;
    ASSIGN_OR_RETURN(child_, cluster::ChildProcess::Spawn(options));
    return absl::OkStatus();
  }

  std::string WhyStopped() const {
    const auto job = ReadJobStatus(env_, folder_.home(), job_id_);
    return job.ok() && !job->error.empty() ? job->error : LastLine();
  }

  std::string LastLine() const {
    auto text = env_.ReadFile(output_path_);
    if (!text.ok()) return "";
    while (text->ends_with('\n')) text->pop_back();
    return text->substr(text->rfind('\n') + 1);
  }

  Env& env_;
  const DrillFolder folder_;
  const cluster::Allocation allocation_;
  const std::string rsh_agent_, program_;
  DrillRun run_;
  std::string job_id_, output_path_;
  std::unique_ptr<cluster::ChildProcess> child_;
  std::vector<std::string> ends_;
};

}  // namespace

std::unique_ptr<DrillRuns> MakeLocalRuns(Env& env, const DrillFolder& folder,
                                         const cluster::Allocation& allocation,
                                         const std::string& rsh_agent, const std::string& program) {
  return std::make_unique<LocalRuns>(env, folder, allocation, rsh_agent, program);
}

}  // namespace halcyon::coordinator
