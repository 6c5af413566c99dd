// What the training of CALM and that of the baseline have in common: the windows, the schedule, and
// the figures of an evaluation.
#ifndef HALCYON_WORKER_TRAINING_LANGUAGE_MODEL_TRAINEE_H_
#define HALCYON_WORKER_TRAINING_LANGUAGE_MODEL_TRAINEE_H_

#include <ATen/core/Tensor.h>

#include "pipeline/samples/packing.h"
#include "pipeline/samples/window_loader.h"
#include "pipeline/tokenizer.h"
#include "worker/scoring/language_model_score.h"
#include "worker/training/trainee.h"

namespace halcyon::worker {

// The data that a language model trains on and is evaluated with. Nothing is owned.
struct LanguageModelData {
  const pipeline::Packing* packing = nullptr;
  const pipeline::WindowLoader* windows = nullptr;          // of training
  const pipeline::WindowLoader* heldout_windows = nullptr;  // shorter when held-out text is short
  const pipeline::Tokenizer* tokenizer = nullptr;
  std::vector<pipeline::MixturePart> sources = {};  // the training windows, by source
};

// [rows * positions]: what each position's loss counts for in the mean over the global batch.
// weights: BatchTensors::weights.
at::Tensor PositionWeights(const at::Tensor& weights, double divisor, int64_t positions);

class LanguageModelTrainee : public Trainee {
 public:
  const jobs::TrainSpec& train_spec() const override { return spec_.train; }
  jobs::InitRule init_rule() const override {
    return jobs::InitRuleAt(spec_.model.init, spec_.model.hidden_size);
  }
  double init_std() const override { return spec_.model.init_std; }
  std::vector<pipeline::MixturePart> items() const override { return data_.sources; }
  uint64_t tokens_per_sample() const override {
    return spec_.model.window_chunks * spec_.autoencoder.chunk_size;
  }
  std::map<std::string, std::string> Metadata() const override;
  absl::StatusOr<BatchTensors> Load(const MicroBatch& batch) override;

 protected:
  LanguageModelTrainee(const jobs::JobSpec& spec, const LanguageModelData& data)
      : spec_(spec), data_(data) {}

  // Of an evaluation while training.
  LanguageModelOptions ScoringOptions() const;
  // {"heldout_loss", "brier_lm", "low", "high", "windows", "token_context"}
  static nlohmann::json FiguresOf(const LanguageModelScore& score);

  const jobs::JobSpec& spec() const { return spec_; }
  const LanguageModelData& data() const { return data_; }

 private:
  jobs::JobSpec spec_;
  LanguageModelData data_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_LANGUAGE_MODEL_TRAINEE_H_
