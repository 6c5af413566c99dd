// Stage one: trains the autoencoder on single chunks of the packed training text.
#ifndef HALCYON_WORKER_TRAINING_AUTOENCODER_TRAINEE_H_
#define HALCYON_WORKER_TRAINING_AUTOENCODER_TRAINEE_H_

#include "model/autoencoder.h"
#include "pipeline/samples/packing.h"
#include "worker/training/trainee.h"

namespace halcyon::worker {

// Does not own the packing.
class AutoencoderTrainee : public Trainee {
 public:
  AutoencoderTrainee(const jobs::JobSpec& spec, int64_t vocab_size,
                     const pipeline::Packing* packing);

  std::vector<model::Unit*> units() override { return autoencoder_.units(); }
  const jobs::TrainSpec& train_spec() const override { return spec_.autoencoder.train; }
  jobs::InitRule init_rule() const override {
    return jobs::InitRuleAt(spec_.autoencoder.init, spec_.autoencoder.hidden_size);
  }
  double init_std() const override { return spec_.autoencoder.init_std; }
  std::vector<pipeline::MixturePart> items() const override {
    return {{.items = packing_->Chunks(pipeline::Split::kTrain)}};
  }
  uint64_t tokens_per_sample() const override { return spec_.autoencoder.chunk_size; }
  absl::StatusOr<BatchTensors> Load(const MicroBatch& batch) override;
  absl::StatusOr<Figures> ForwardBackward(const MicroBatch& batch,
                                          const BatchTensors& tensors) override;
  absl::StatusOr<nlohmann::json> Evaluate(cluster::Collectives& collectives, bool final) override;
  std::map<std::string, std::string> Metadata() const override;

 private:
  jobs::JobSpec spec_;
  const pipeline::Packing* packing_;
  model::Autoencoder autoencoder_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_AUTOENCODER_TRAINEE_H_
