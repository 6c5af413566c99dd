// The training loop of one rank: the same for every trainee.
#ifndef HALCYON_WORKER_TRAINING_TRAINER_H_
#define HALCYON_WORKER_TRAINING_TRAINER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/env.h"
#include "base/status.h"
#include "cluster/collectives.h"
#include "cluster/messages.h"
#include "cluster/work_progress.h"
#include "jobs/job_spec.h"
#include "pipeline/samples/mixture_order.h"
#include "pipeline/samples/sample_digest.h"
#include "storage/checkpoint.h"
#include "storage/sample_log.h"
#include "storage/weights/weights_index.h"
#include "worker/compute_device.h"
#include "worker/fsdp/fsdp.h"
#include "worker/training/batch_feeder.h"
#include "worker/training/metrics_log.h"
#include "worker/training/trainee.h"

namespace halcyon::worker {

// What the trainer reports and is asked while it runs.
class TrainerListener {
 public:
  virtual ~TrainerListener() = default;
  // Rank 0 only.
  virtual void OnProgress(uint64_t step, const nlohmann::json& figures) = 0;
  virtual bool StopRequested() = 0;
};

struct TrainerOptions {
  cluster::StageAssignment assignment;
  jobs::CheckpointSpec checkpoint;
  int64_t evaluate_every = 0;  // steps; 0: never while training
  uint64_t seed = 0;
  FsdpOptions fsdp;  // its device is `compute`'s, its progress is `progress`
  ComputeDevice compute;
  cluster::WorkProgress* progress = nullptr;  // required: is told how far this rank is
  double step_flops = 0;          // of the model (jobs/flops.h); 0: utilisation is not reported
  uint64_t memory_bytes_min = 0;  // of all ranks (jobs/estimate.h); 0: not reported
  std::string spec_toml;  // the resolved spec, bound into checkpoints and kept with the weights
  uint64_t shard_bytes_max = storage::kShardBytesMax;  // of a file of the finished weights
  std::vector<std::string> notices = {};  // of this rank, for a person; rank 0 shows all ranks'
};

// Collective: every rank makes one and calls Run. Not thread-safe; owns nothing it is given.
class Trainer {
 public:
  Trainer(const TrainerOptions& options, Trainee* trainee, cluster::Collectives* collectives,
          TrainerListener* listener, Env* env, Clock* clock);

  // From the last good checkpoint, or from the start, to the last step, then writes the artifact to
  // the launch's output folder. Rank 0's result: {"content_digest", "bytes", "facts"}.
  // kAborted: stopped on request, after a checkpoint unless no step was done since the last one, or
  // fenced off. kFailedPrecondition: the loss
  // or the gradient is not finite; the last checkpoint stands.
  absl::StatusOr<nlohmann::json> Run();

 private:
  absl::Status Start();
  // What a person should know about where the ranks compute. Collective.
  absl::StatusOr<std::vector<std::string>> Notices();
  absl::StatusOr<nlohmann::json> Step(uint64_t step);
  absl::Status MeasureRate();
  void StartFeeder();
  // The rank's part of the step's figures, and the samples that it used.
  struct Share {
    std::map<std::string, double> figures;
    pipeline::SampleDigest used;
  };
  absl::StatusOr<Share> Accumulate(uint64_t step);
  // Rank 0: copies of what was recorded of all steps, beside the weights.
  absl::Status KeepRecords(const std::string& out);
  // What the step's time went to; rank 0's figures.
  void AddTimes(int64_t began_us, int64_t update_began_us, nlohmann::json* figures);
  absl::Status Save();
  absl::Status EvaluateAndReport();
  // Whether any rank was told to stop; the same on all. Collective.
  absl::Status AgreeOnStop();
  absl::Status Stopped() const;
  absl::StatusOr<nlohmann::json> Finish();
  nlohmann::json SourceFacts() const;
  storage::WriterFence Writer() const {
    return {options_.assignment.claim, options_.assignment.launch};
  }
  storage::CheckpointManifest Manifest() const;

  TrainerOptions options_;
  Trainee* trainee_;
  cluster::Collectives* collectives_;
  TrainerListener* listener_;
  Env* env_;
  Clock* clock_;
  // Made by Start.
  std::unique_ptr<Fsdp> fsdp_;
  std::unique_ptr<BatchFeeder> feeder_;
  storage::CheckpointStore store_;
  pipeline::MixtureOrder order_;
  MetricsLog metrics_;
  storage::SampleLog samples_;
  uint64_t steps_done_ = 0;
  uint64_t saved_step_ = 0;
  double matrix_rate_ = 0;  // of all ranks, FLOP/s
  int64_t started_ms_ = 0;
  int64_t reported_ms_ = 0;
  uint64_t reported_step_ = 0;
  bool stop_agreed_ = false;
  nlohmann::json last_figures_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_TRAINER_H_
