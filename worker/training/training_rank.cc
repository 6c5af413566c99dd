#include "worker/training/training_rank.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/env.h"
#include "base/exit_code.h"
#include "base/logging.h"
#include "cluster/outputs.h"
#include "jobs/estimate.h"
#include "jobs/flops.h"
#include "model/precision.h"
#include "storage/checkpoint.h"
#include "worker/inputs/artifacts.h"
#include "worker/inputs/cache_copies.h"
#include "worker/inputs/latent_batches.h"
#include "worker/runtime.h"
#include "worker/torch_fault.h"
#include "worker/training/autoencoder_trainee.h"
#include "worker/training/baseline_trainee.h"
#include "worker/training/calm_trainee.h"
#include "worker/training/rank_collectives.h"
#include "worker/training/trainer.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;

constexpr int64_t kWelcomeTimeoutMs = 30000;
constexpr size_t kRankErrorBytesMax = 1 << 16;
// Seconds after which a collective is given up, in place of cluster::kHostTimeoutMs.
constexpr char kTimeoutVariable[] = "HALCYON_COLLECTIVE_TIMEOUT_S";
constexpr char kWaitsFolder[] = "waits", kGpuWaitsFolder[] = "waits-gpu";  // of the stage's work

class LinkListener : public TrainerListener {
 public:
  LinkListener(cluster::CoordinatorLink* link, std::string stage, uint64_t steps)
      : link_(link), stage_(std::move(stage)), steps_(steps) {}
  void OnProgress(uint64_t step, const json& figures) override {
    const absl::Status sent = link_->Send(cluster::TrainProgress{stage_, step, steps_, figures});
    if (!sent.ok()) spdlog::warn("figures of step {} are not shown: {}", step, MessageOf(sent));
  }
  bool StopRequested() override { return link_->stop_requested(); }

 private:
  cluster::CoordinatorLink* link_;
  std::string stage_;
  uint64_t steps_;
};

uint64_t MemoryMin(const jobs::JobSpec& spec, jobs::StageKind kind, int64_t vocab_size) {
  for (const jobs::TrainingEstimate& estimate : jobs::EstimateTraining(spec, vocab_size)) {
    if (estimate.kind == kind) return estimate.memory_bytes;
  }
  return 0;
}

struct Rank {
  cluster::Collectives* collectives;  // on the memory of `compute`
  cluster::CoordinatorLink* link;
  cluster::StageAssignment assignment;
  jobs::JobSpec spec;
  std::string spec_toml;
  ComputeDevice compute;
  cluster::WorkProgress* progress;
  ArtifactInputs inputs = {};             // made by CopyInputs
  std::vector<std::string> notices = {};  // of it

  jobs::StageKind Kind() const {
    return assignment.stage == "autoencoder" ? jobs::StageKind::kAutoencoder
                                             : jobs::StageKind::kModel;
  }

  absl::StatusOr<json> Train(Trainee& trainee, int64_t vocab_size) {
    const jobs::StageKind kind = Kind();
    LinkListener listener(link, assignment.stage, trainee.train_spec().steps);
    const TrainerOptions options{
        .assignment = assignment,
        .checkpoint = spec.checkpoint,
        .evaluate_every = spec.eval.every,
        .seed = spec.seed,
        .fsdp = {.sharding = spec.launch.sharding,
                 .accumulate = spec.launch.accumulate,
                 .recompute = spec.launch.recompute,
                 .gather_type = model::TypeOf(trainee.train_spec().precision)},
        .compute = compute,
        .progress = progress,
        .step_flops = jobs::StepFlops(spec, kind, vocab_size),
        .memory_bytes_min = MemoryMin(spec, kind, vocab_size),
        .spec_toml = spec_toml,
        .notices = notices};
    Trainer trainer(options, &trainee, collectives, &listener, Env::Posix(), Clock::Real());
    return trainer.Run();
  }

  // Its copies of caches stay until the stage has ended.
  absl::Status CopyInputs() {
    inputs = ArtifactInputs::Of(assignment);
    if (spec.launch.copy_caches_to.empty()) return absl::OkStatus();
    CopyingGang gang{collectives, progress, [this] { return link->stop_requested(); }};
    ASSIGN_OR_RETURN(notices, CopyCaches(gang, {.folder = spec.launch.copy_caches_to}, &inputs));
    progress->Enter(cluster::WorkPhase::kLoading, "the inputs");
    return absl::OkStatus();
  }

  absl::StatusOr<json> RunStage() {
    RETURN_IF_ERROR(CopyInputs());
    ASSIGN_OR_RETURN(const auto tokenizer, OpenTokenizer(inputs));
    const jobs::StageKind kind = Kind();
    ASSIGN_OR_RETURN(
        const PackedTokens tokens,
        OpenPackedTokens(inputs, *tokenizer, spec.autoencoder, pipeline::TextShareOf(kind, spec)));
    if (tokens.packing->Chunks(pipeline::Split::kTrain) == 0) {
      return InvalidArgument("no document is left to train on; lower data.heldout");
    }
    if (kind == jobs::StageKind::kAutoencoder) {
      AutoencoderTrainee trainee(spec, tokenizer->vocab_size(), tokens.packing.get());
      return Train(trainee, tokenizer->vocab_size());
    }
    if (assignment.stage != "model") {
      return InvalidArgument("stage \"" + assignment.stage + "\" is not trained by ranks");
    }
    if (spec.model.head == jobs::HeadKind::kSoftmax) return TrainBaseline(*tokenizer, tokens);
    return TrainCalm(*tokenizer, tokens);
  }

  absl::StatusOr<LanguageModelData> DataOf(const pipeline::Tokenizer& tokenizer,
                                           const PackedTokens& tokens, const Windows& windows) {
    ASSIGN_OR_RETURN(auto sources, pipeline::TrainingItems(jobs::StageKind::kModel, spec, tokens));
    return LanguageModelData{tokens.packing.get(), windows.train.get(), windows.heldout.get(),
                             &tokenizer, std::move(sources)};
  }

  absl::StatusOr<json> TrainBaseline(const pipeline::Tokenizer& tokenizer,
                                     const PackedTokens& tokens) {
    ASSIGN_OR_RETURN(const Windows windows,
                     OpenWindows(*tokens.packing, /*latents=*/nullptr, spec.model.window_chunks));
    ASSIGN_OR_RETURN(const LanguageModelData data, DataOf(tokenizer, tokens, windows));
    BaselineTrainee trainee(spec, data);
    return Train(trainee, tokenizer.vocab_size());
  }

  absl::StatusOr<json> TrainCalm(const pipeline::Tokenizer& tokenizer, const PackedTokens& tokens) {
    ASSIGN_OR_RETURN(const auto autoencoder,
                     OpenAutoencoder(*Env::Posix(), inputs, compute.device));
    autoencoder->EncodeIn(spec.data.encoding_precision);
    std::unique_ptr<storage::LatentReader> latents;  // null: they are recomputed
    if (jobs::RecomputesLatents(spec)) {
      PrepareEncoding(*autoencoder, static_cast<uint64_t>(spec.train.steps * spec.train.batch *
                                                          spec.model.window_chunks));
    } else {
      ASSIGN_OR_RETURN(latents, OpenLatents(inputs, spec.autoencoder.latent_size));
    }
    ASSIGN_OR_RETURN(const Windows windows,
                     OpenWindows(*tokens.packing, latents.get(), spec.model.window_chunks));
    ASSIGN_OR_RETURN(const LanguageModelData data, DataOf(tokenizer, tokens, windows));
    CalmTrainee trainee(spec, data, autoencoder.get());
    return Train(trainee, tokenizer.vocab_size());
  }
};

absl::StatusOr<cluster::StageAssignment> AwaitAssignment(cluster::CoordinatorLink& link) {
  const auto message = link.Receive(kWelcomeTimeoutMs);
  if (message) {
    if (const auto* welcome = std::get_if<cluster::Welcome>(&message->body)) {
      return welcome->assignment;
    }
  }
  return Unavailable("the coordinator did not answer Hello");
}

cluster::QueueOptions QueueOptionsWith(std::shared_ptr<cluster::Arrivals> arrivals) {
  cluster::QueueOptions options{.arrivals = std::move(arrivals)};
  const char* seconds = std::getenv(kTimeoutVariable);
  if (seconds != nullptr && std::atoll(seconds) > 0) {
    options.timeout_ms = 1000 * static_cast<int64_t>(std::atoll(seconds));
  }
  return options;
}

// Over NCCL, whose collectives have numbers of their own.
absl::StatusOr<std::unique_ptr<cluster::Collectives>> MakeGpuCollectives(
    const ComputeDevice& compute, cluster::Collectives& host,
    const cluster::StageAssignment& assignment) {
  const auto arrivals = std::make_shared<cluster::ArrivalFiles>(*Env::Posix());
  RETURN_IF_ERROR(arrivals->Open(JoinPath(assignment.work_dir, kGpuWaitsFolder), assignment.claim,
                                 assignment.launch));
  return compute.plugin->MakeCollectives(&host,
                                         {.device = compute.device.index(), .arrivals = arrivals});
}

// What outlives a run of a rank: its heartbeats use it.
struct RankState {
  std::string stage;
  std::unique_ptr<cluster::Collectives> gpu;  // made over the host's; null on the CPU
  cluster::WorkProgress progress;
};

absl::StatusOr<json> RunRank(cluster::Collectives& collectives, cluster::ArrivalFiles& arrivals,
                             cluster::CoordinatorLink& link, RankState* state) {
  const cluster::WorkProgress& progress = state->progress;
  link.SetActivity([&] { return progress.Now(collectives.Standing()); });
  RETURN_IF_ERROR(link.Send(HelloOf("rank", static_cast<uint32_t>(collectives.rank()))));
  Rank rank{&collectives, &link, {}, {}, {}, {}, &state->progress};
  ASSIGN_OR_RETURN(rank.assignment, AwaitAssignment(link));
  state->stage = rank.assignment.stage;
  SetLogField("stage", state->stage);
  state->progress.Enter(cluster::WorkPhase::kLoading, "the inputs");
  RETURN_IF_ERROR(arrivals.Open(JoinPath(rank.assignment.work_dir, kWaitsFolder),
                                rank.assignment.claim, rank.assignment.launch));
  // Who takes the stage over raises the fence of its checkpoints first.
  link.SetSuperseded([checkpoints = cluster::CheckpointsDir(rank.assignment.work_dir),
                      own = storage::WriterFence{rank.assignment.claim, rank.assignment.launch}] {
    const auto fence = storage::CheckpointStore(*Env::Posix(), checkpoints).ReadFence();
    return fence.ok() && *fence > own;
  });
  ASSIGN_OR_RETURN(rank.spec_toml, Env::Posix()->ReadFile(rank.assignment.spec_path));
  ASSIGN_OR_RETURN(rank.spec,
                   jobs::ParseJobSpec(rank.spec_toml, rank.assignment.spec_path,
                                      DirName(rank.assignment.spec_path), /*check_files=*/false));
  ASSIGN_OR_RETURN(rank.compute, ChooseGangDevice(rank.spec.launch.device, collectives));
  spdlog::info("stage {} rank {} of {}, of {} on its node, on {}", state->stage, collectives.rank(),
               collectives.size(), collectives.size_of(cluster::Group::kNode),
               rank.compute.Description());
  if (rank.compute.is_gpu()) {
    ASSIGN_OR_RETURN(state->gpu, MakeGpuCollectives(rank.compute, collectives, rank.assignment));
    rank.collectives = state->gpu.get();
    link.SetActivity(
        [&progress, active = state->gpu.get()] { return progress.Now(active->Standing()); });
  }
  // LibTorch reports its faults by exceptions; none leaves this function.
  try {
    auto result = rank.RunStage();
    RETURN_IF_ERROR(ForCoordinator(result.status()));
    return result;
  } catch (const std::exception& error) {
    return TorchFault("LibTorch", error);
  }
}

// Tells the coordinator how this rank ended; returns how it did.
absl::Status Report(const absl::StatusOr<json>& result, const std::string& stage, int rank,
                    cluster::CoordinatorLink* link) {
  absl::Status status = result.status();
  const auto send = [&](const json& sent) {
    return link->Send(cluster::RankEnded{stage, static_cast<uint32_t>(rank),
                                         static_cast<int>(status.code()),
                                         MessageOf(status).substr(0, kRankErrorBytesMax), sent});
  };
  const absl::Status sent = send(result.ok() ? *result : json());
  if (sent.ok()) return status;
  status = sent;  // the result is too large; this error is not
  RETURN_IF_ERROR(send(json()));
  return status;
}

}  // namespace

absl::Status RunTrainingRank(WorkerOptions options, uint32_t threads) {
  ConfigureRuntime(threads);
  const auto arrivals = std::make_shared<cluster::ArrivalFiles>(*Env::Posix());
  ASSIGN_OR_RETURN(auto collectives, MakeRankCollectives(options, QueueOptionsWith(arrivals)));
  const std::string suffix = fmt::format("-{}", collectives->rank());
  options.name += suffix;
  RETURN_IF_ERROR(LogToFile(options.name, options.log_path + suffix + ".log"));
  SetLogField("job", options.job);
  SetLogField("rank", std::to_string(collectives->rank()));
  auto membership = Membership::Join(options);
  if (!membership.ok()) {
    spdlog::error("{}", MessageOf(membership.status()));
    FlushLog(kFlushLogMs);
    _exit(static_cast<int>(ExitCodeOf(membership.status())));
  }
  RankState state;
  const absl::StatusOr<json> result =
      RunRank(*collectives, *arrivals, (*membership)->link(), &state);
  (*membership)->link().SetActivity(nullptr);
  const absl::Status status =
      Report(result, state.stage, collectives->rank(), &(*membership)->link());
  membership->reset();  // sends what is queued
  if (!status.ok()) {
    spdlog::error("{}", MessageOf(status));
    FlushLog(kFlushLogMs);
    // Not through MPI_Finalize, which waits for ranks that may be inside a collective.
    _exit(static_cast<int>(ExitCodeOf(status)));
  }
  return absl::OkStatus();
}

}  // namespace halcyon::worker
