// Stage two: trains the language model to predict the next chunk's latent.
#ifndef HALCYON_WORKER_TRAINING_CALM_TRAINEE_H_
#define HALCYON_WORKER_TRAINING_CALM_TRAINEE_H_

#include <memory>

#include "model/autoencoder.h"
#include "model/calm_model.h"
#include "pipeline/packing.h"
#include "pipeline/tokenizer.h"
#include "pipeline/window_loader.h"
#include "worker/training/trainee.h"

namespace halcyon::worker {

// What the language model trains on and is judged with. Nothing is owned.
struct CalmData {
  const pipeline::Packing* packing = nullptr;
  const pipeline::WindowLoader* windows = nullptr;          // of training
  const pipeline::WindowLoader* heldout_windows = nullptr;  // shorter when held-out text is short
  model::Autoencoder* autoencoder = nullptr;                // frozen; whole on every rank
  const pipeline::Tokenizer* tokenizer = nullptr;
};

class CalmTrainee : public Trainee {
 public:
  CalmTrainee(const jobs::JobSpec& spec, const CalmData& data);

  std::vector<model::Unit*> units() override { return model_.units(); }
  const jobs::TrainSpec& train_spec() const override { return spec_.train; }
  jobs::InitRule init_rule() const override { return spec_.model.init; }
  double init_std() const override { return spec_.model.init_std; }
  uint64_t items() const override { return data_.windows->Windows(pipeline::Split::kTrain); }
  uint64_t tokens_per_sample() const override {
    return spec_.model.window_chunks * spec_.autoencoder.chunk_size;
  }
  absl::StatusOr<Figures> ForwardBackward(const MicroBatch& batch) override;
  // {"loss", "target", "spread", "brier_lm", "low", "high", "windows", "token_context"} and, while
  // training, a few "samples": held-out prompts with their continuations.
  absl::StatusOr<nlohmann::json> Evaluate(cluster::Collectives& collectives, bool final) override;
  std::map<std::string, std::string> Metadata() const override;

 private:
  jobs::JobSpec spec_;
  CalmData data_;
  model::CalmModel model_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_CALM_TRAINEE_H_
