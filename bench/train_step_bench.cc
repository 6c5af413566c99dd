// One training step (forward, backward, gradient norm, AdamW) of the baseline or of CALM through
// the sharder, on random tokens and latents: seconds by phase and page faults a step, one line a
// round, with the time of communication and the part of it that nothing hid; then the most memory
// that all ranks had in use, beside the formula's, and what rank 0 took for the network alone.
// bench/README.md has the sizes and the commands, bench/peers/ the same work in PyTorch.
//
//   train_step_bench llama|calm [--threads N] [--rounds N] [--steps N]
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
#include <string>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "cluster/collectives.h"
#include "cluster/mpi_collectives.h"
#include "jobs/estimate.h"
#include "model/baseline_model.h"
#include "model/calm_model.h"
#include "worker/fsdp/fsdp.h"
#include "worker/runtime.h"

namespace halcyon::worker {
namespace {

constexpr int64_t kBatch = 4, kSteps = 256, kVocabulary = 8192, kChunk = 4, kLatent = 128;
constexpr uint64_t kSeed = 1;

struct Options {
  std::string work;
  FsdpOptions fsdp;
  int threads = 2, rounds = 5, steps = 3;
};

jobs::ModelSpec SpecOf(const std::string& work) {
  jobs::ModelSpec spec;
  spec.attention_heads = 8;
  if (work == "llama") {
    spec.head = jobs::HeadKind::kSoftmax;
    spec.hidden_size = 512;
    spec.intermediate_size = 1376;
    spec.layers = 8;
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

at::Tensor RandomTokens(const model::NoiseRows& rows, std::vector<int64_t> shape) {
  return (rows.Uniform(shape) * kVocabulary).to(at::kLong).clamp(0, kVocabulary - 1);
}

class Llama : public Work {
 public:
  explicit Llama(const jobs::ModelSpec& spec) : model_(spec, kVocabulary) {}
  std::vector<model::Unit*> units() override { return model_.units(); }
  at::Tensor Loss(const std::vector<uint64_t>& slots, uint64_t step) override {
    const at::Tensor tokens =
        RandomTokens({kSeed, NoiseStream::kSampleOrder, step, slots}, {kSteps});
    const int64_t positions = tokens.size(0) * (kSteps - 1);
    return model_.NextTokenLoss(tokens, at::full({positions}, 1.0 / (kBatch * (kSteps - 1)))).total;
  }

 private:
  model::BaselineModel model_;
};

class Calm : public Work {
 public:
  explicit Calm(const jobs::ModelSpec& spec) : model_(spec, kChunk, kLatent, kVocabulary) {}
  std::vector<model::Unit*> units() override { return model_.units(); }
  at::Tensor Loss(const std::vector<uint64_t>& slots, uint64_t step) override {
    const model::NoiseRows noise{kSeed, NoiseStream::kHeadNoise, step, slots};
    const at::Tensor tokens =
        RandomTokens(noise.With(NoiseStream::kSampleOrder), {kSteps - 1, kChunk});
    const auto normal = noise.With(NoiseStream::kPosterior);
    const model::Posterior next = {normal.Normal({kSteps - 1, kLatent}).flatten(0, 1),
                                   at::full({tokens.size(0) * (kSteps - 1), kLatent}, -1.0)};
    const auto loss = model_.HeadLoss(model_.Backbone(tokens, {}), next, noise);
    return loss.loss.sum() / (kBatch * (kSteps - 1));
  }

 private:
  model::CalmModel model_;
};

// What the ranks need by the formula that `halcyon validate` prints.
uint64_t FormulaBytes(const Options& options, int ranks) {
  jobs::JobSpec spec;
  spec.model = SpecOf(options.work);
  spec.autoencoder.chunk_size = kChunk;
  spec.autoencoder.latent_size = kLatent;
  spec.model.window_chunks = options.work == "llama" ? kSteps / kChunk : kSteps;
  spec.train.batch = kBatch;
  spec.launch.ranks = ranks;
  spec.launch.sharding = options.fsdp.sharding;
  return jobs::EstimateTraining(spec, kVocabulary).back().memory_bytes;
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
  Bench(const Options& options, cluster::Collectives* collectives)
      : collectives_(collectives),
        work_(Make(options.work)),
        fsdp_(work_->units(), collectives, *PlanShards(options.fsdp.sharding, *collectives),
              options.fsdp) {
    fsdp_.Initialise(jobs::InitRule::kNormal, 0.02, kSeed);
    for (int64_t i = collectives->rank(); i < kBatch; i += collectives->size()) {
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
    const double end = Now();
    times->forward += after_forward - start;
    times->backward += after_backward - after_forward;
    times->optimizer += end - after_backward;
    times->total += end - start;
    return shared[1];
  }

 private:
  static std::unique_ptr<Work> Make(const std::string& work) {
    if (work == "llama") return std::make_unique<Llama>(SpecOf(work));
    return std::make_unique<Calm>(SpecOf(work));
  }

  cluster::Collectives* collectives_;
  std::unique_ptr<Work> work_;
  Fsdp fsdp_;
  std::vector<uint64_t> slots_;
  const jobs::TrainSpec train_{.learning_rate = 3e-4};
  uint64_t step_ = 0;
};

void Run(const Options& options, cluster::Collectives& collectives) {
  const int64_t base_kib = Usage().ru_maxrss;
  Bench bench(options, &collectives);
  const bool speaks = collectives.rank() == 0;
  if (speaks) {
    fmt::print("{}: {} parameters, {} ranks x {} threads", options.work, bench.parameters(),
               collectives.size(), options.threads);
    for (const auto& [name, value] : RuntimeDescription()) fmt::print(", {} {}", name, value);
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
        "faults, communication {:.3f} s of which {:.3f} waited for, loss {:.4f}\n",
        times.total / options.steps, times.forward / options.steps, times.backward / options.steps,
        times.optimizer / options.steps, (CpuSeconds(after) - CpuSeconds(before)) / options.steps,
        (after.ru_minflt - before.ru_minflt) / options.steps,
        static_cast<double>(shared.busy_us) * 1e-6 / options.steps,
        static_cast<double>(shared.waited_us) * 1e-6 / options.steps, loss);
    std::fflush(stdout);
  }
  std::vector<double> peak = {static_cast<double>(PeakMemoryBytes())};
  HALCYON_CHECK(collectives.AllReduceSum(peak).ok());
  if (speaks) {
    fmt::print("memory of all ranks: peak {}, by the formula {}\n",
               jobs::BytesText(static_cast<uint64_t>(peak[0])),
               jobs::BytesText(FormulaBytes(options, collectives.size())));
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
                                            : nullptr;
    const std::string text = arguments[i + 1];
    if (value != nullptr) *value = std::max(1, std::atoi(arguments[i + 1]));
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
  const auto options = halcyon::worker::Parse(count, arguments);
  if (options.work != "llama" && options.work != "calm") {
    fmt::print(stderr,
               "usage: train_step_bench llama|calm [--threads N] [--rounds N] [--steps N] "
               "[--sharding full|gradient|none] [--precision float32|bfloat16]\n");
    return 2;
  }
  halcyon::worker::ConfigureRuntime(static_cast<uint32_t>(options.threads));
  if (std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr) {
    halcyon::cluster::SingleRank alone;
    halcyon::worker::Run(options, alone);
    return 0;
  }
  const auto ranks = halcyon::cluster::MakeMpiCollectives();
  HALCYON_CHECK(ranks.ok());
  halcyon::worker::Run(options, **ranks);
  return 0;
}
