// What the trainer trains: a network with its data, loss and held-out evaluation.
#ifndef HALCYON_WORKER_TRAINING_TRAINEE_H_
#define HALCYON_WORKER_TRAINING_TRAINEE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "cluster/collectives.h"
#include "jobs/job_spec.h"
#include "model/posterior.h"
#include "model/unit.h"
#include "pipeline/samples/mixture_order.h"
#include "worker/training/batch_plan.h"

namespace halcyon::worker {

// Parts of the mean over the global batch: adding them over micro-batches and ranks gives it.
// Names are the same in every call. Tensors without dimensions on the rank's device, where reading
// each one would wait for the device.
using Figures = std::map<std::string, at::Tensor>;

// The samples of a pass.
struct BatchTensors {
  at::Tensor tokens;              // int64 [samples, ...]: windows [T, K], or chunks [K]
  model::Posterior posterior;     // [samples * T, latent]; undefined where a trainee uses none
  at::Tensor weights = {};        // float32 [samples]: MicroBatch::weights; the feeder adds them
  at::Tensor first_visible = {};  // int64 [samples, T]: WindowTensors::first_visible
};

class Trainee {
 public:
  virtual ~Trainee() = default;
  virtual std::vector<model::Unit*> units() = 0;
  virtual const jobs::TrainSpec& train_spec() const = 0;
  virtual jobs::InitRule init_rule() const = 0;
  virtual double init_std() const = 0;
  // Items to draw samples from, chunks or windows, by source.
  virtual std::vector<pipeline::MixturePart> items() const = 0;
  // Tokens of text that a sample stands for, for tokens/s.
  virtual uint64_t tokens_per_sample() const = 0;

  // Reads the samples of a pass, onto the host. Called on another thread than, and beside, the
  // rest.
  virtual absl::StatusOr<BatchTensors> Load(const MicroBatch& batch) = 0;

  // Forward and backward of what Load read for `batch`, now on the device. The gradient of every
  // micro-batch and rank adds up to that of the mean loss of the global batch.
  virtual absl::StatusOr<Figures> ForwardBackward(const MicroBatch& batch,
                                                  const BatchTensors& tensors) = 0;

  // Figures on held-out text. Collective; touches no state of training: its noise comes from
  // streams of its own. `final` measures more thoroughly, for the finished artifact.
  virtual absl::StatusOr<nlohmann::json> Evaluate(cluster::Collectives& collectives,
                                                  bool final) = 0;

  // What a reader of the weights must know, put into the artifact's metadata.
  virtual std::map<std::string, std::string> Metadata() const = 0;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_TRAINEE_H_
