// The baseline's training: next-token cross-entropy on the very windows that CALM trains on.
#ifndef HALCYON_WORKER_TRAINING_BASELINE_TRAINEE_H_
#define HALCYON_WORKER_TRAINING_BASELINE_TRAINEE_H_

#include "model/baseline_model.h"
#include "worker/training/language_model_trainee.h"

namespace halcyon::worker {

class BaselineTrainee : public LanguageModelTrainee {
 public:
  BaselineTrainee(const jobs::JobSpec& spec, const LanguageModelData& data);

  std::vector<model::Unit*> units() override { return model_.units(); }
  absl::StatusOr<Figures> ForwardBackward(const MicroBatch& batch,
                                          const BatchTensors& tensors) override;
  absl::StatusOr<nlohmann::json> Evaluate(cluster::Collectives& collectives, bool final) override;

 private:
  model::BaselineModel model_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_BASELINE_TRAINEE_H_
