// The baseline's training: next-token cross-entropy on the very windows that CALM trains on.
#ifndef HALCYON_WORKER_TRAINING_BASELINE_TRAINEE_H_
#define HALCYON_WORKER_TRAINING_BASELINE_TRAINEE_H_

#include "model/baseline_model.h"
#include "pipeline/packing.h"
#include "pipeline/tokenizer.h"
#include "pipeline/window_loader.h"
#include "worker/training/trainee.h"

namespace halcyon::worker {

// Nothing is owned.
struct BaselineData {
  const pipeline::Packing* packing = nullptr;
  const pipeline::WindowLoader* windows = nullptr;          // of training
  const pipeline::WindowLoader* heldout_windows = nullptr;  // shorter when held-out text is short
  const pipeline::Tokenizer* tokenizer = nullptr;
};

class BaselineTrainee : public Trainee {
 public:
  BaselineTrainee(const jobs::JobSpec& spec, const BaselineData& data);

  std::vector<model::Unit*> units() override { return model_.units(); }
  const jobs::TrainSpec& train_spec() const override { return spec_.train; }
  jobs::InitRule init_rule() const override { return spec_.model.init; }
  double init_std() const override { return spec_.model.init_std; }
  uint64_t items() const override { return data_.windows->Windows(pipeline::Split::kTrain); }
  uint64_t tokens_per_sample() const override {
    return spec_.model.window_chunks * spec_.autoencoder.chunk_size;
  }
  absl::StatusOr<Figures> ForwardBackward(const MicroBatch& batch) override;
  absl::StatusOr<nlohmann::json> Evaluate(cluster::Collectives& collectives, bool final) override;
  std::map<std::string, std::string> Metadata() const override;

 private:
  jobs::JobSpec spec_;
  BaselineData data_;
  model::BaselineModel model_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_BASELINE_TRAINEE_H_
