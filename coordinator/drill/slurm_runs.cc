#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "cluster/allocation.h"
#include "cluster/launcher_parts.h"
#include "coordinator/drill/drill_runs.h"
#include "coordinator/processes/recovery.h"
#include "coordinator/submit/end_watch.h"
#include "coordinator/submit/slurm.h"
#include "coordinator/submit/submit_job.h"
#include "jobs/cluster_file.h"
#include "jobs/hosts.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kAllocationEndMsMax = 60'000;
constexpr int64_t kAllocationPollMs = 1000;
// Of the job's script (submit/slurm_script.cc).
constexpr std::string_view kScriptSaysKilled = "halcyon was killed";

class SlurmRuns : public DrillRuns {
 public:
  SlurmRuns(Env& env, const DrillFolder& folder) : env_(env), home_(folder.home()) {}
  ~SlurmRuns() override { Abandon(); }

  absl::Status Start(const DrillRun& run) override {
    stops_.clear();
    ended_ = true;
    ASSIGN_OR_RETURN(const jobs::ClusterFile cluster, jobs::LoadClusterFile(home_.root));
    commands_ = cluster.commands;
    ASSIGN_OR_RETURN(
        job_, ReadJobToSubmit(run.job_file, run.set, /*until=*/"", home_.root, Launcher::kSlurm));
    RETURN_IF_ERROR(SubmitAs(env_, &job_));
    watch_.emplace(home_);
    ended_ = false;
    return absl::OkStatus();
  }

  std::optional<absl::Status> Poll() override {
    auto status = ReadJobStatus(env_, home_, job_id());
    if (!status.ok()) return status.status();
    if (status->state == jobs::JobState::kRunning && !OwnerOf(env_, home_, job_id())) {
      MarkInterrupted(&*status);
    }
    if (status->state == jobs::JobState::kPreempted && !status->error.empty() &&
        (stops_.empty() || stops_.back() != status->error)) {
      stops_.push_back(status->error);
    }
    const auto ended = watch_->HasEnded(&*status);
    if (!ended.ok()) return ended.status();
    if (!*ended) return std::nullopt;
    ended_ = true;
    if (status->state == jobs::JobState::kDone) return absl::OkStatus();
    return Internal("the job is " + std::string(jobs::NameOf(status->state)) + ": " +
                    status->error);
  }

  absl::Status Preempt() override { return Slurm(commands_).Requeue(slurm_id()); }

  std::vector<std::string> Ends() const override {
    std::vector<std::string> ends = stops_;
    const std::string path = JoinPath(home_.JobLogs(job_id()), "slurm-" + slurm_id() + ".log");
    const auto text = env_.ReadFile(path);
    size_t at = text.ok() ? text->find(kScriptSaysKilled) : std::string::npos;
    while (at != std::string::npos) {
      ends.push_back(text->substr(at, text->find('\n', at) - at));
      at = text->find(kScriptSaysKilled, at + 1);
    }
    return ends;
  }

  HostCommand OnHost() const override {
    return [this](const std::string& host, const std::vector<std::string>& words) {
      return StepOnHost(commands_.empty() ? "srun" : JoinPath(commands_, "srun"), slurm_id(),
                        Nodes(), host, words);
    };
  }

  void Abandon() override {
    if (ended_) return;
    // Its allocation ends with every process in it.
    Slurm(commands_).Cancel(slurm_id()).IgnoreError();
    ended_ = true;
    WaitForAllocation();
  }

  std::vector<std::string> LeftRunning() override {
    const std::string state = WaitForAllocation();
    if (state.empty()) return {};
    return {"Slurm job " + slurm_id() + ", which is " + state};
  }

 private:
  const std::string& job_id() const { return job_.submission.job_id; }
  const std::string& slurm_id() const { return job_.submission.slurm_job_id; }

  // "" when Slurm has it no more.
  std::string WaitForAllocation() const {
    std::string state;
    Clock::Real()->WaitFor(
        [&] {
          const auto jobs = Slurm(commands_).Jobs();
          if (!jobs.ok()) {
            state = "not known: " + MessageOf(jobs.status());
            return false;
          }
          const auto found = jobs->find(slurm_id());
          state = found != jobs->end() && found->second.IsLive() ? found->second.state : "";
          return state.empty();
        },
        kAllocationEndMsMax, kAllocationPollMs);
    return state;
  }

  std::vector<std::string> Nodes() const {
    const auto jobs = Slurm(commands_).Jobs();
    if (!jobs.ok()) return {};
    const auto found = jobs->find(slurm_id());
    const auto nodes = jobs::ExpandNodeList(found == jobs->end() ? "" : found->second.nodes);
    return nodes.ok() ? *nodes : std::vector<std::string>();
  }

  Env& env_;
  const storage::HomeLayout home_;
  std::string commands_;
  SubmittedJob job_;
  std::optional<EndWatch> watch_;
  std::vector<std::string> stops_;
  bool ended_ = true;
};

}  // namespace

std::vector<std::string> StepOnHost(const std::string& srun, const std::string& slurm_job,
                                    const std::vector<std::string>& nodes, const std::string& host,
                                    const std::vector<std::string>& words) {
  const auto node = std::find_if(nodes.begin(), nodes.end(), [&](const std::string& name) {
    return cluster::IsHost(name, host);
  });
  return cluster::SlurmStep(srun, slurm_job, node == nodes.end() ? host : *node, words);
}

std::unique_ptr<DrillRuns> MakeSlurmRuns(Env& env, const DrillFolder& folder) {
  return std::make_unique<SlurmRuns>(env, folder);
}

}  // namespace halcyon::coordinator
