#include "worker/agent.h"

#include <ATen/Parallel.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <optional>

#include "base/check.h"
#include "base/env.h"
#include "base/fault_point.h"
#include "base/logging.h"
#include "cluster/work_progress.h"
#include "jobs/job_spec.h"
#include "worker/compute_device.h"
#include "worker/inputs/artifacts.h"
#include "worker/runtime.h"
#include "worker/tasks/tasks.h"
#include "worker/torch_fault.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;

constexpr int64_t kReceiveTimeoutMs = 500;
// Progress messages of a task: at least this much further than the last.
constexpr double kProgressStep = 0.02;
constexpr size_t kTaskErrorBytesMax = 1 << 16;

// Sends a message that is always far below the size limit.
void SendSmall(cluster::CoordinatorLink* link, cluster::Body body) {
  const absl::Status sent = link->Send(std::move(body));
  HALCYON_CHECK(sent.ok());
}

template <typename Task>
Task& Kept(std::optional<Task>* task) {
  return *task ? **task : task->emplace();
}

class Agent {
 public:
  // `number`: among the agents of this machine.
  Agent(cluster::CoordinatorLink* link, uint32_t threads, uint32_t number)
      : link_(link), threads_(threads), number_(number) {
    link_->SetActivity([this] { return progress_.Now(); });
  }
  ~Agent() { link_->SetActivity(nullptr); }
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  void Serve(const cluster::Lease& lease) {
    const ScopedLogField stage("stage", lease.assignment.stage);
    const ScopedLogField task("task", lease.task);
    spdlog::info("begins under fence {}", lease.fence);
    progress_.Enter(cluster::WorkPhase::kTask, lease.task);
    const absl::StatusOr<json> result = RunTask(lease);
    FaultPoint("agent " + lease.task);
    absl::Status status = result.status();
    if (status.ok()) status = link_->Send(cluster::TaskDone{lease.task, lease.fence, *result});
    if (!status.ok()) Fail(lease, status);
    progress_.Enter(cluster::WorkPhase::kIdle);
  }

 private:
  void Fail(const cluster::Lease& lease, const absl::Status& status) {
    spdlog::error("task {}: {}", lease.task, MessageOf(status));
    const std::string message = MessageOf(status).substr(0, kTaskErrorBytesMax);
    SendSmall(link_, cluster::TaskFailed{lease.task, lease.fence, static_cast<int>(status.code()),
                                         message});
  }

  absl::StatusOr<json> RunTask(const cluster::Lease& lease) {
    auto result = RunStageTask(lease);
    RETURN_IF_ERROR(ForCoordinator(result.status()));
    return result;
  }

  absl::StatusOr<json> RunStageTask(const cluster::Lease& lease) {
    RETURN_IF_ERROR(ReadSpec(lease.assignment.spec_path));
    const jobs::JobSpec& spec = spec_.spec;
    double reported = 0;
    TaskContext context{
        &lease, &spec, Env::Posix(), [&](double fraction) {
          progress_.Advance();
          if (fraction < reported + kProgressStep) return;
          reported = fraction;
          SendSmall(link_, cluster::TaskProgress{lease.task, lease.fence, fraction});
        }};
    const std::string& stage = lease.assignment.stage;
    if (stage != "tokens") tokens_.reset();
    if (stage != "latents") latents_.reset();
    at::set_num_threads(stage == "eval" ? static_cast<int>(threads_) : 1);
    // LibTorch reports its faults by exceptions; none leaves this function.
    try {
      if (stage == "tokenizer") return RunTokenizerTask(context);
      if (stage == "tokens") return Kept(&tokens_).Run(context);
      ASSIGN_OR_RETURN(context.device, DeviceFor(spec));
      if (stage == "latents") return Kept(&latents_).Run(context);
      if (stage == "eval") return RunEvalTask(context);
    } catch (const std::exception& error) {
      return TorchFault("LibTorch", error);  // the coordinator names the task
    }
    return InvalidArgument("no data task of stage \"" + stage + "\" exists");
  }

  // Parsing the names of very many sources takes longer than encoding a shard.
  absl::Status ReadSpec(const std::string& path) {
    ASSIGN_OR_RETURN(std::string toml, Env::Posix()->ReadFile(path));
    if (path == spec_.path && toml == spec_.toml) return absl::OkStatus();
    ASSIGN_OR_RETURN(jobs::JobSpec spec, jobs::ParseJobSpec(toml, path, DirName(path),
                                                            /*check_files=*/false));
    spec_ = {path, std::move(toml), std::move(spec)};
    return absl::OkStatus();
  }

  // Chosen by the first task with a network: the others need no GPU.
  absl::StatusOr<c10::Device> DeviceFor(const jobs::JobSpec& spec) {
    if (!compute_) {
      ASSIGN_OR_RETURN(compute_, ChooseDevice(spec.launch.device, number_));
      spdlog::info("networks compute on {}", compute_->Description());
    }
    return compute_->device;
  }

  cluster::CoordinatorLink* link_;
  uint32_t threads_, number_;
  cluster::WorkProgress progress_;
  std::optional<ComputeDevice> compute_;
  struct KeptSpec {
    std::string path, toml;
    jobs::JobSpec spec;  // what they say
  };
  KeptSpec spec_;
  // What their tasks keep for the next one, while the stage is the same.
  std::optional<TokensTask> tokens_;
  std::optional<LatentsTask> latents_;
};

// 3 of "agent-3"; 0 where there is no number.
uint32_t NumberIn(const std::string& name) {
  uint32_t number = 0;
  const size_t digits = name.find_last_not_of("0123456789") + 1;
  std::from_chars(name.data() + digits, name.data() + name.size(), number);
  return number;
}

}  // namespace

absl::Status RunAgent(const WorkerOptions& options, uint32_t threads) {
  ConfigureRuntime(1);
  SetLogField("job", options.job);
  ASSIGN_OR_RETURN(const auto membership, Membership::Join(options));
  cluster::CoordinatorLink& link = membership->link();
  SendSmall(&link, HelloOf("agent", /*rank=*/0));
  Agent agent(&link, threads, NumberIn(options.name));
  SendSmall(&link, cluster::Ready{});
  while (!link.stop_requested()) {
    const auto message = link.Receive(kReceiveTimeoutMs);
    if (!message || link.stop_requested()) continue;
    if (const auto* lease = std::get_if<cluster::Lease>(&message->body)) {
      agent.Serve(*lease);
      SendSmall(&link, cluster::Ready{lease->fence});
    }
  }
  return absl::OkStatus();
}

}  // namespace halcyon::worker
