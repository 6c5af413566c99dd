#include "worker/training/trainer.h"

#include <spdlog/spdlog.h>

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "base/check.h"
#include "base/fault_point.h"
#include "base/logging.h"
#include "cluster/outputs.h"
#include "model/learning_rate.h"
#include "worker/runtime.h"
#include "worker/training/checkpointing.h"
#include "worker/training/gathered_network.h"
#include "worker/training/matrix_rate.h"

namespace halcyon::worker {
namespace {

using cluster::WorkPhase;
using nlohmann::json;

constexpr int64_t kReportIntervalMs = 500;
constexpr char kMetricsFile[] = "metrics.jsonl";

double Seconds(int64_t us) { return static_cast<double>(us) / 1e6; }

// Comes over together, with one wait for the device.
std::map<std::string, double> OnHost(const std::map<std::string, at::Tensor>& values) {
  std::map<std::string, double> read;
  if (values.empty()) return read;
  std::vector<at::Tensor> all;
  for (const auto& [name, value] : values) all.push_back(value.reshape({}));
  const at::Tensor numbers = at::stack(all).cpu();
  const double* next = numbers.const_data_ptr<double>();
  for (const auto& [name, value] : values) read[name] = *next++;
  return read;
}

}  // namespace

Trainer::Trainer(const TrainerOptions& options, Trainee* trainee, cluster::Collectives* collectives,
                 TrainerListener* listener, Env* env, Clock* clock)
    : options_(options),
      trainee_(trainee),
      collectives_(collectives),
      listener_(listener),
      env_(env),
      clock_(clock),
      store_(*env, cluster::CheckpointsDir(options.assignment.work_dir)),
      order_(options.seed, trainee->items()),
      metrics_(JoinPath(options.assignment.work_dir, kMetricsFile), clock),
      samples_(*env, store_.root()) {
  HALCYON_CHECK(options.progress != nullptr);
  options_.fsdp.device = options.compute.device;
  options_.fsdp.progress = options.progress;
}

absl::StatusOr<json> Trainer::Run() {
  const uint64_t steps = trainee_->train_spec().steps;
  RETURN_IF_ERROR(Start());
  // Reading the inputs and the checkpoint may have taken long; so may the first step.
  RETURN_IF_ERROR(AgreeOnStop());
  if (stop_agreed_) return Stopped();
  if (steps_done_ < steps) RETURN_IF_ERROR(MeasureRate());
  StartFeeder();
  while (steps_done_ < steps) {
    options_.progress->BeginStep(steps_done_);
    options_.progress->Enter(WorkPhase::kData);
    FaultPoint("rank " + std::to_string(collectives_->rank()) + " " + options_.assignment.stage +
               " step " + std::to_string(steps_done_));
    ASSIGN_OR_RETURN(last_figures_, Step(steps_done_), "step " + std::to_string(steps_done_));
    ++steps_done_;
    const auto due = [&](int64_t every) { return every > 0 && steps_done_ % every == 0; };
    if (due(options_.evaluate_every) && !stop_agreed_ && steps_done_ < steps) {
      RETURN_IF_ERROR(EvaluateAndReport());
      RETURN_IF_ERROR(AgreeOnStop());
    }
    if (due(options_.checkpoint.every) || stop_agreed_ || steps_done_ == steps) {
      RETURN_IF_ERROR(Save());
    }
    if (stop_agreed_) return Stopped();
  }
  return Finish();
}

absl::Status Trainer::AgreeOnStop() {
  std::vector<double> asked = {listener_->StopRequested() ? 1.0 : 0.0};
  RETURN_IF_ERROR(collectives_->AllReduceSum(asked));
  stop_agreed_ = asked[0] > 0;
  return absl::OkStatus();
}

absl::Status Trainer::Stopped() const {
  return Aborted("stopped after step " + std::to_string(steps_done_) +
                 "; the same command goes on from there");
}

absl::Status Trainer::Start() {
  started_ms_ = reported_ms_ = clock_->MonotonicMs();
  ASSIGN_OR_RETURN(const ShardPlan plan, PlanShards(options_.fsdp.sharding, *collectives_));
  fsdp_ = std::make_unique<Fsdp>(trainee_->units(), collectives_, plan, options_.fsdp);
  fsdp_->Initialise(trainee_->init_rule(), trainee_->init_std(), options_.seed);
  options_.progress->Enter(WorkPhase::kLoading, "a checkpoint");
  RETURN_IF_ERROR(store_.Fence(Writer()));
  ASSIGN_OR_RETURN(const Resumed resumed, RestoreCheckpoint(store_, *fsdp_, *collectives_,
                                                            options_.assignment.fingerprint));
  for (const std::string& reason : resumed.rejected) spdlog::warn("checkpoint: {}", reason);
  steps_done_ = saved_step_ = reported_step_ = resumed.step;
  ASSIGN_OR_RETURN(const auto notices, Notices());
  json figures = {{"resumed_from", resumed.step}, {"device", options_.compute.name}};
  if (!notices.empty()) figures["notices"] = notices;
  if (!resumed.rejected.empty()) figures["rejected_checkpoints"] = resumed.rejected;
  if (resumed.step > 0) {
    json changed = json::object();
    for (const auto& [name, now] : RuntimeDescription(options_.compute.name)) {
      const auto before = resumed.manifest.runtime.find(name);
      if (before == resumed.manifest.runtime.end() || before->second == now) continue;
      changed[name] = before->second + " -> " + now;
    }
    if (resumed.manifest.world_size != static_cast<uint32_t>(collectives_->size())) {
      changed["ranks"] = std::to_string(resumed.manifest.world_size) + " -> " +
                         std::to_string(collectives_->size());
    }
    if (!changed.empty()) figures["bits_may_differ"] = changed;
    spdlog::info("resumed from step {} {}", resumed.step, changed.dump());
  }
  if (collectives_->rank() != 0) return absl::OkStatus();
  RETURN_IF_ERROR(metrics_.Open(resumed.step));
  storage::SampleLaunch launch{Writer(), static_cast<uint32_t>(collectives_->size()), resumed.step};
  if (resumed.step > 0) launch.from = storage::WriterOfCheckpoint(resumed.manifest.folder);
  RETURN_IF_ERROR(samples_.Begin(launch, resumed.manifest.sample_log_format));
  // For a stage that resumes behind its last step: it makes no figures of its own any more.
  last_figures_ = metrics_.LastFigures();
  listener_->OnProgress(steps_done_, figures);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> Trainer::Notices() {
  std::vector<std::string> notices;
  if (!options_.compute.why_cpu.empty()) {
    notices.push_back("computes on the CPU: " + options_.compute.why_cpu);
  }
  const json own = {{"runtime", RuntimeDescription(options_.compute.name)},
                    {"notices", options_.notices}};
  ASSIGN_OR_RETURN(const auto all, collectives_->AllGatherBytes(own.dump()));
  json first;
  bool differ = false;
  for (size_t rank = 0; rank < all.size(); ++rank) {
    const json other = json::parse(all[rank]);
    for (const auto& notice : other["notices"]) notices.push_back(notice);
    if (rank == 0) first = other["runtime"];
    if (differ || first == other["runtime"]) continue;
    differ = true;
    notices.push_back(
        "ranks compute in different ways, so the bits depend on which rank is where; "
        "rank 0: " +
        first.dump() + ", rank " + std::to_string(rank) + ": " + other["runtime"].dump());
  }
  return notices;
}

absl::Status Trainer::MeasureRate() {
  if (options_.step_flops == 0) return absl::OkStatus();
  options_.progress->Enter(WorkPhase::kStarting, "the measurement of matrix products");
  RETURN_IF_ERROR(collectives_->Barrier());
  std::vector<double> rate = {MeasureMatrixRate(options_.fsdp.gather_type, options_.fsdp.device)};
  RETURN_IF_ERROR(collectives_->AllReduceSum(rate));
  matrix_rate_ = rate[0];
  return absl::OkStatus();
}

void Trainer::StartFeeder() {
  const jobs::TrainSpec& train = trainee_->train_spec();
  const BatchShape shape = {
      static_cast<uint64_t>(train.batch), static_cast<uint64_t>(train.micro_batch),
      static_cast<uint64_t>(collectives_->rank()), static_cast<uint64_t>(collectives_->size())};
  feeder_ = std::make_unique<BatchFeeder>(
      steps_done_, static_cast<uint64_t>(train.steps),
      [this, shape](uint64_t step) { return PlanBatch(shape, order_, step); },
      [this](const MicroBatch& plan) { return trainee_->Load(plan); }, options_.compute.device);
}

absl::StatusOr<Trainer::Share> Trainer::Accumulate(uint64_t step) {
  std::map<std::string, at::Tensor> sums;
  Share share;
  for (bool is_last = false; !is_last;) {
    options_.progress->Enter(WorkPhase::kData);
    ASSIGN_OR_RETURN(const LoadedPass pass, feeder_->Next());
    HALCYON_CHECK(pass.plan.step == step);
    is_last = pass.is_last;
    share.used.Add(pass.used);
    fsdp_->BeginPass(is_last);
    auto figures = trainee_->ForwardBackward(pass.plan, pass.tensors);
    RETURN_IF_ERROR(figures.status());
    RETURN_IF_ERROR(fsdp_->FinishPass());
    for (const auto& [name, value] : *figures) {
      const at::Tensor wide = value.to(at::kDouble);
      at::Tensor& sum = sums[name];
      sum = sum.defined() ? sum + wide : wide;
    }
  }
  share.figures = OnHost(sums);
  return share;
}

absl::StatusOr<json> Trainer::Step(uint64_t step) {
  SetLogField("step", std::to_string(step));
  const jobs::TrainSpec& train = trainee_->train_spec();
  const int64_t began_us = clock_->MonotonicUs();
  // Not of this step.
  collectives_->TakeFigures();
  feeder_->TakeWaitedUs();
  fsdp_->BeginStep();
  ASSIGN_OR_RETURN(const auto mine, Accumulate(step));
  // One reduction carries everything the ranks must agree on.
  // 32 bits, so that sums over ranks are exact.
  const double order = static_cast<double>(collectives_->order_digest() >> 32);
  std::vector<double> shared = {fsdp_->LocalGradientSquares(),
                                listener_->StopRequested() ? 1.0 : 0.0, order,
                                static_cast<double>(options_.compute.PeakMemoryBytes())};
  const size_t used_at = shared.size();
  for (const double part : mine.used.Summands()) shared.push_back(part);
  for (const auto& [name, value] : mine.figures) shared.push_back(value);
  RETURN_IF_ERROR(collectives_->AllReduceSum(shared));
  stop_agreed_ = shared[1] > 0;
  if (shared[2] != order * collectives_->size()) {
    return Internal("ranks made different collectives in this step, so the sums are wrong");
  }
  const double norm = std::sqrt(shared[0]);
  json figures = {{"grad_norm", norm}, {"learning_rate", model::LearningRate(train, step)}};
  figures["memory_peak_bytes"] = static_cast<uint64_t>(shared[3]);
  if (options_.memory_bytes_min > 0) figures["memory_bytes_min"] = options_.memory_bytes_min;
  size_t next = used_at + pipeline::SampleDigest::kSummands;
  for (const auto& [name, value] : mine.figures) figures[name] = shared[next++];
  if (!std::isfinite(norm) || !std::isfinite(figures.value("loss", 0.0))) {
    return FailedPrecondition(
        "the loss or its gradient is not a finite number; lower the learning rate, or look at the "
        "data of this step");
  }
  const double scale = train.clip_norm > 0 && norm > train.clip_norm ? train.clip_norm / norm : 1.0;
  const int64_t update_began_us = clock_->MonotonicUs();
  options_.progress->Enter(WorkPhase::kOptimizer);
  fsdp_->OptimizerStep(train, step, scale);
  options_.compute.Synchronise();  // for the times' sake
  if (collectives_->rank() != 0) return figures;
  const auto used = pipeline::SampleDigest::SumOf(
      std::span(shared).subspan(used_at, pipeline::SampleDigest::kSummands));
  samples_.Add(used.Recorded(step + 1));
  AddTimes(began_us, update_began_us, &figures);
  metrics_.Write(step + 1, figures);
  const int64_t now_ms = clock_->MonotonicMs();
  if (now_ms - reported_ms_ >= kReportIntervalMs) {
    const double seconds = static_cast<double>(now_ms - reported_ms_) / 1000;
    const double tokens = static_cast<double>((step + 1 - reported_step_) * train.batch *
                                              trainee_->tokens_per_sample());
    figures["tokens_per_s"] = tokens / seconds;
    listener_->OnProgress(step + 1, figures);
    reported_ms_ = now_ms;
    reported_step_ = step + 1;
  }
  return figures;
}

void Trainer::AddTimes(int64_t began_us, int64_t update_began_us, json* figures) {
  const int64_t now_us = clock_->MonotonicUs();
  const double step_seconds = Seconds(now_us - began_us);
  const cluster::CollectiveFigures shared = collectives_->TakeFigures();
  (*figures)["step_seconds"] = step_seconds;
  (*figures)["optimizer_seconds"] = Seconds(now_us - update_began_us);
  (*figures)["data_wait_seconds"] = Seconds(feeder_->TakeWaitedUs());
  (*figures)["communication_seconds"] = Seconds(shared.busy_us);
  (*figures)["communication_wait_seconds"] = Seconds(shared.waited_us);
  if (step_seconds > 0) {
    const auto tokens =
        static_cast<double>(trainee_->train_spec().batch * trainee_->tokens_per_sample());
    (*figures)["tokens_per_s"] = tokens / step_seconds;
    if (matrix_rate_ > 0) {
      (*figures)["flop_utilisation"] = options_.step_flops / (step_seconds * matrix_rate_);
    }
  }
}

storage::CheckpointManifest Trainer::Manifest() const {
  storage::CheckpointManifest manifest;
  manifest.step = steps_done_;
  manifest.claim = options_.assignment.claim;
  manifest.stage = options_.assignment.stage;
  manifest.fingerprint = options_.assignment.fingerprint;
  manifest.seed = options_.seed;
  manifest.samples_seen = steps_done_ * trainee_->train_spec().batch;
  manifest.spec_toml = options_.spec_toml;
  manifest.sample_log_format = storage::kSampleLogFormat;
  manifest.inputs = options_.assignment.input_digests;
  manifest.runtime = RuntimeDescription(options_.compute.name);
  return manifest;
}

absl::Status Trainer::Save() {
  if (saved_step_ == steps_done_) return absl::OkStatus();
  const int64_t began_us = clock_->MonotonicUs();
  options_.progress->BeginStep(steps_done_);
  options_.progress->Enter(WorkPhase::kSaving, "a checkpoint");
  const bool records = collectives_->rank() == 0;
  RETURN_IF_ERROR(Agree(*collectives_, records ? samples_.Sync() : absl::OkStatus()));
  RETURN_IF_ERROR(
      SaveCheckpoint(store_, *fsdp_, *collectives_, Manifest(), options_.checkpoint.keep),
      "checkpoint of step " + std::to_string(steps_done_));
  saved_step_ = steps_done_;
  if (collectives_->rank() == 0) {
    listener_->OnProgress(
        steps_done_,
        {{"checkpoint", steps_done_}, {"save_seconds", Seconds(clock_->MonotonicUs() - began_us)}});
  }
  return absl::OkStatus();
}

absl::Status Trainer::EvaluateAndReport() {
  options_.progress->BeginStep(steps_done_);
  options_.progress->Enter(WorkPhase::kEvaluating);
  ASSIGN_OR_RETURN(const json evaluation, trainee_->Evaluate(*collectives_, /*final=*/false),
                   "evaluation");
  if (collectives_->rank() != 0) return absl::OkStatus();
  metrics_.Write(steps_done_, {{"eval", evaluation}});
  listener_->OnProgress(steps_done_, {{"eval", evaluation}});
  return absl::OkStatus();
}

json Trainer::SourceFacts() const {
  const auto samples = order_.SamplesOfParts(steps_done_ * trainee_->train_spec().batch);
  json sources = json::array();
  for (size_t i = 0; i < samples.size(); ++i) {
    const pipeline::MixturePart& part = order_.parts()[i];
    sources.push_back(
        {{"name", part.name},
         {"share", part.share},
         {"windows", part.items},
         {"passes", static_cast<double>(samples[i]) / static_cast<double>(part.items)}});
  }
  return sources;
}

absl::Status Trainer::KeepRecords(const std::string& out) {
  RETURN_IF_ERROR(metrics_.CopyTo(JoinPath(out, kMetricsFile)));
  ASSIGN_OR_RETURN(const std::string samples,
                   storage::JoinSampleLogs(*env_, store_.root(), Writer()));
  return WriteFileAtomically(*env_, JoinPath(out, storage::kSampleLogFile), samples);
}

absl::StatusOr<json> Trainer::Finish() {
  options_.progress->EndSteps();
  options_.progress->Enter(WorkPhase::kEvaluating, "the finished model");
  ASSIGN_OR_RETURN(json facts, trainee_->Evaluate(*collectives_, /*final=*/true),
                   "final evaluation");
  options_.progress->Enter(WorkPhase::kWriting, "the artifact");
  const std::string out = cluster::GangOutputDir(options_.assignment);
  absl::StatusOr<WrittenNetwork> written =
      WriteNetwork(*fsdp_, *collectives_, *env_,
                   {out, trainee_->Metadata(), options_.spec_toml, options_.shard_bytes_max});
  if (written.ok() && collectives_->rank() == 0) {
    if (const absl::Status kept = KeepRecords(out); !kept.ok()) written = kept;
  }
  RETURN_IF_ERROR(Agree(*collectives_, written.status()));
  std::vector<double> peak = {static_cast<double>(options_.compute.PeakMemoryBytes())};
  RETURN_IF_ERROR(collectives_->AllReduceSum(peak));
  facts["memory_peak_bytes"] = static_cast<uint64_t>(peak[0]);
  if (matrix_rate_ > 0) facts["matrix_flops_per_s"] = matrix_rate_;
  for (const auto& [name, value] : last_figures_.items()) facts.emplace(name, value);
  if (order_.parts().size() > 1) facts["sources"] = SourceFacts();
  facts["parameters"] = fsdp_->parameters();
  facts["steps"] = steps_done_;
  facts["seconds"] = static_cast<double>(clock_->MonotonicMs() - started_ms_) / 1000;
  return json{
      {"content_digest", written->content_digest}, {"bytes", written->bytes}, {"facts", facts}};
}

}  // namespace halcyon::worker
