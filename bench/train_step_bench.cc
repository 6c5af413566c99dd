// One training step (forward, backward, gradient norm, AdamW) of the baseline or of CALM through
// the sharder, on random tokens and latents: seconds by phase and page faults a step, one line a
// round, with the time of communication and the part of it that nothing hid; then the most memory
// that all ranks had in use, beside the formula's, and what rank 0 took for the network alone.
// bench/README.md has the sizes and the commands, bench/peers/ the same work in PyTorch.
//
//   train_step_bench llama|calm|calm-s|calm-xl [--threads N] [--rounds N] [--steps N]
//                    [--batch N] [--device cpu|cuda]
//                    [--sharding full|gradient|none] [--precision float32|bfloat16]
//
// Under mpirun every process is a rank and takes its part of the batch.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "cluster/collectives.h"
#include "cluster/mpi_collectives.h"
#include "jobs/estimate.h"
#include "jobs/flops.h"
#include "model/baseline_model.h"
#include "model/calm_model.h"
#include "worker/compute_device.h"
#include "worker/fsdp/fsdp.h"
#include "worker/runtime.h"
#include "worker/training/matrix_rate.h"

namespace halcyon::worker {
namespace {

constexpr int64_t kSteps = 256, kVocabulary = 8192, kChunk = 4, kLatent = 128;
constexpr uint64_t kSeed = 1;

struct Options {
  std::string work;
  FsdpOptions fsdp;
  std::string device = "cpu";
  int threads = 2, rounds = 5, steps = 3, batch = 4;
};

jobs::ModelSpec SpecOf(const std::string& work) {
  jobs::ModelSpec spec;
  spec.attention_heads = 8;
  if (work == "llama") {
    spec.head = jobs::HeadKind::kSoftmax;
    spec.hidden_size = 512;
    spec.intermediate_size = 1376;
    spec.layers = 8;
  } else if (work == "calm-s") {  // the paper's S
    spec.hidden_size = 768;
    spec.intermediate_size = 2048;
    spec.layers = 12;
    spec.attention_heads = 16;
  } else if (work == "calm-xl") {  // the paper's XL
    spec.hidden_size = 2560;
    spec.intermediate_size = 6880;
    spec.layers = 16;
    spec.attention_heads = 20;
  } else {
    spec.hidden_size = 256;
    spec.intermediate_size = 704;
    spec.layers = 4;
  }
  return spec;
}

class Work {
 public:
  virtual ~Work() = default;
  virtual std::vector<model::Unit*> units() = 0;
  virtual at::Tensor Loss(const std::vector<uint64_t>& slots, uint64_t step) = 0;
};

at::Tensor RandomTokens(const model::NoiseRows& rows, std::vector<int64_t> shape,
                        c10::Device device) {
  return (rows.Uniform(shape, device) * kVocabulary).to(at::kLong).clamp(0, kVocabulary - 1);
}

class Llama : public Work {
 public:
  Llama(const jobs::ModelSpec& spec, int64_t batch, c10::Device device)
      : batch_(batch), device_(device), model_(spec, kVocabulary) {}
  std::vector<model::Unit*> units() override { return model_.units(); }
  at::Tensor Loss(const std::vector<uint64_t>& slots, uint64_t step) override {
    const at::Tensor tokens =
        RandomTokens({kSeed, NoiseStream::kSampleOrder, step, slots}, {kSteps}, device_);
    const int64_t positions = tokens.size(0) * (kSteps - 1);
    const at::Tensor weights =
        at::full({positions}, 1.0 / static_cast<double>(batch_ * (kSteps - 1)),
                 at::TensorOptions(at::kFloat).device(device_));
    return model_.NextTokenLoss(tokens, weights).total;
  }

 private:
  const int64_t batch_;
  const c10::Device device_;
  model::BaselineModel model_;
};

class Calm : public Work {
 public:
  Calm(const jobs::ModelSpec& spec, int64_t batch, c10::Device device)
      : batch_(batch), device_(device), model_(spec, kChunk, kLatent, kVocabulary) {}
  std::vector<model::Unit*> units() override { return model_.units(); }
  at::Tensor Loss(const std::vector<uint64_t>& slots, uint64_t step) override {
    const model::NoiseRows noise{kSeed, NoiseStream::kHeadNoise, step, slots};
    const at::Tensor tokens =
        RandomTokens(noise.With(NoiseStream::kSampleOrder), {kSteps - 1, kChunk}, device_);
    const auto normal = noise.With(NoiseStream::kPosterior);
    const at::Tensor mean = normal.Normal({kSteps - 1, kLatent}, device_).flatten(0, 1);
    const model::Posterior next = {mean, at::full_like(mean, -1.0)};
    const auto loss = model_.HeadLoss(model_.Backbone(tokens, {}), next, noise);
    return loss.loss.sum() / static_cast<double>(batch_ * (kSteps - 1));
  }

 private:
  const int64_t batch_;
  const c10::Device device_;
  model::CalmModel model_;
};

jobs::JobSpec JobOf(const Options& options, int ranks) {
  jobs::JobSpec spec;
  spec.model = SpecOf(options.work);
  spec.autoencoder.chunk_size = kChunk;
  spec.autoencoder.latent_size = kLatent;
  spec.model.window_chunks = options.work == "llama" ? kSteps / kChunk : kSteps;
  spec.train.batch = options.batch;
  spec.launch.ranks = ranks;
  spec.launch.sharding = options.fsdp.sharding;
  return spec;
}

double Now() { return static_cast<double>(Clock::Real()->MonotonicMs()) / 1000; }

rusage Usage() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage;
}

// Of all threads, in the program and in the kernel for it.
double CpuSeconds(const rusage& usage) {
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

struct Times {
  double forward = 0, backward = 0, optimizer = 0, total = 0;
};

class Bench {
 public:
  Bench(const Options& options, const ComputeDevice& compute, cluster::Collectives* collectives)
      : compute_(compute),
        collectives_(collectives),
        work_(Make(options)),
        fsdp_(work_->units(), collectives, *PlanShards(options.fsdp.sharding, *collectives),
              options.fsdp) {
    fsdp_.Initialise(jobs::InitRule::kNormal, 0.02, kSeed);
    for (int64_t i = collectives->rank(); i < options.batch; i += collectives->size()) {
      slots_.push_back(static_cast<uint64_t>(i));
    }
  }

  int64_t parameters() const { return fsdp_.parameters(); }

  // Adds one step's times; returns its loss.
  double Step(Times* times) {
    const double start = Now();
    fsdp_.BeginStep();
    fsdp_.BeginPass(/*is_last=*/true);
    const at::Tensor loss = work_->Loss(slots_, step_);
    const double after_forward = Now();
    loss.backward();
    HALCYON_CHECK(fsdp_.FinishPass().ok());
    const double after_backward = Now();
    std::vector<double> shared = {fsdp_.LocalGradientSquares(), loss.item<double>()};
    HALCYON_CHECK(collectives_->AllReduceSum(shared).ok());
    fsdp_.OptimizerStep(train_, step_++, std::min(1.0, 1.0 / std::sqrt(shared[0])));
    compute_.Synchronise();
    const double end = Now();
    times->forward += after_forward - start;
    times->backward += after_backward - after_forward;
    times->optimizer += end - after_backward;
    times->total += end - start;
    return shared[1];
  }

 private:
  static std::unique_ptr<Work> Make(const Options& options) {
    const jobs::ModelSpec spec = SpecOf(options.work);
    const c10::Device device = options.fsdp.device;
    if (options.work == "llama") return std::make_unique<Llama>(spec, options.batch, device);
    return std::make_unique<Calm>(spec, options.batch, device);
  }

  const ComputeDevice compute_;
  cluster::Collectives* collectives_;
  std::unique_ptr<Work> work_;
  Fsdp fsdp_;
  std::vector<uint64_t> slots_;
  const jobs::TrainSpec train_{.learning_rate = 3e-4};
  uint64_t step_ = 0;
};

// `compute` is options.fsdp.device.
void Run(const Options& options, const ComputeDevice& compute, cluster::Collectives& collectives) {
  const int64_t base_kib = Usage().ru_maxrss;
  Bench bench(options, compute, &collectives);
  const jobs::JobSpec job = JobOf(options, collectives.size());
  const double flops = jobs::StepFlops(job, jobs::StageKind::kModel, kVocabulary);
  const double rate = MeasureMatrixRate(options.fsdp.gather_type, compute.device);
  const bool speaks = collectives.rank() == 0;
  if (speaks) {
    fmt::print("{}: {} parameters, {} ranks x {} threads", options.work, bench.parameters(),
               collectives.size(), options.threads);
    for (const auto& [name, value] : RuntimeDescription(compute.name))
      fmt::print(", {} {}", name, value);
    fmt::print("\n");
  }
  Times warm_up;
  bench.Step(&warm_up);
  for (int round = 0; round < options.rounds; ++round) {
    Times times;
    double loss = 0;
    collectives.TakeFigures();  // not of this round
    const rusage before = Usage();
    for (int i = 0; i < options.steps; ++i) loss = bench.Step(&times);
    const rusage after = Usage();
    const cluster::CollectiveFigures shared = collectives.TakeFigures();
    if (!speaks) continue;
    fmt::print(
        "step {:.3f} s (forward {:.3f}, backward {:.3f}, optimizer {:.3f}), {:.3f} s of CPU, {} "
        "faults, communication {:.3f} s of which {:.3f} waited for, {:.1f} % of the rate of matrix "
        "products, loss {:.4f}\n",
        times.total / options.steps, times.forward / options.steps, times.backward / options.steps,
        times.optimizer / options.steps, (CpuSeconds(after) - CpuSeconds(before)) / options.steps,
        (after.ru_minflt - before.ru_minflt) / options.steps,
        static_cast<double>(shared.busy_us) * 1e-6 / options.steps,
        static_cast<double>(shared.waited_us) * 1e-6 / options.steps,
        100 * flops * options.steps / (times.total * rate * collectives.size()), loss);
    std::fflush(stdout);
  }
  std::vector<double> peak = {static_cast<double>(compute.PeakMemoryBytes())};
  HALCYON_CHECK(collectives.AllReduceSum(peak).ok());
  if (speaks) {
    fmt::print("memory of all ranks: peak {}, by the formula {}\n",
               jobs::BytesText(static_cast<uint64_t>(peak[0])),
               jobs::BytesText(jobs::EstimateTraining(job, kVocabulary).back().memory_bytes));
    fmt::print("peak memory above that before the network: {} MiB\n",
               (Usage().ru_maxrss - base_kib) >> 10);
  }
}

Options Parse(int count, char** arguments) {
  Options options;
  if (count > 1) options.work = arguments[1];
  for (int i = 2; i + 1 < count; i += 2) {
    const std::string name = arguments[i];
    int* const value = name == "--threads"  ? &options.threads
                       : name == "--rounds" ? &options.rounds
                       : name == "--steps"  ? &options.steps
                       : name == "--batch"  ? &options.batch
                                            : nullptr;
    const std::string text = arguments[i + 1];
    if (value != nullptr) *value = std::max(1, std::atoi(arguments[i + 1]));
    if (name == "--device") options.device = text;
    if (name == "--precision" && text == "bfloat16") options.fsdp.gather_type = at::kBFloat16;
    if (name == "--sharding" && text == "gradient") {
      options.fsdp.sharding = jobs::Sharding::kGradient;
    }
    if (name == "--sharding" && text == "none") options.fsdp.sharding = jobs::Sharding::kNone;
  }
  return options;
}

}  // namespace
}  // namespace halcyon::worker

int main(int count, char** arguments) {
  auto options = halcyon::worker::Parse(count, arguments);
  if (std::set<std::string>{"llama", "calm", "calm-s", "calm-xl"}.count(options.work) == 0) {
    fmt::print(
        stderr,
        "usage: train_step_bench llama|calm|calm-s|calm-xl [--threads N] [--rounds N] [--steps N] "
        "[--batch N] [--device cpu|cuda] "
        "[--sharding full|gradient|none] [--precision float32|bfloat16]\n");
    return 2;
  }
  // Before LibTorch is asked anything.
  const auto compute = halcyon::worker::OpenDevice(options.device);
  if (!compute.ok()) {
    fmt::print(stderr, "error: {}\n", halcyon::MessageOf(compute.status()));
    return 2;
  }
  options.fsdp.device = compute->device;
  halcyon::worker::ConfigureRuntime(static_cast<uint32_t>(options.threads));
  if (std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr) {
    halcyon::cluster::SingleRank alone;  // a shard is everything: nothing goes through it
    halcyon::worker::Run(options, *compute, alone);
    return 0;
  }
  const auto ranks = halcyon::cluster::MakeMpiCollectives();
  HALCYON_CHECK(ranks.ok());
  halcyon::worker::Run(options, *compute, **ranks);
  return 0;
}
