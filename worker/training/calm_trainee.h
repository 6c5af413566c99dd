// Stage two: trains the language model to predict the next chunk's latent.
#ifndef HALCYON_WORKER_TRAINING_CALM_TRAINEE_H_
#define HALCYON_WORKER_TRAINING_CALM_TRAINEE_H_

#include "model/autoencoder.h"
#include "model/calm_model.h"
#include "worker/training/language_model_trainee.h"

namespace halcyon::worker {

class CalmTrainee : public LanguageModelTrainee {
 public:
  // The autoencoder is frozen, whole on every rank, and not owned. It encodes the windows when the
  // data has no latents.
  CalmTrainee(const jobs::JobSpec& spec, const LanguageModelData& data,
              model::Autoencoder* autoencoder);

  std::vector<model::Unit*> units() override { return model_.units(); }
  absl::StatusOr<Figures> ForwardBackward(const MicroBatch& batch,
                                          const BatchTensors& tensors) override;
  // FiguresOf(score), its terms as "heldout_NAME" and, while training, a few "samples": held-out
  // prompts with their continuations.
  absl::StatusOr<nlohmann::json> Evaluate(cluster::Collectives& collectives, bool final) override;

 private:
  model::Autoencoder* autoencoder_;
  model::CalmModel model_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_CALM_TRAINEE_H_
