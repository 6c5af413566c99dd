// A small regression with two units, quick enough to train whole runs in a test.
#ifndef HALCYON_TESTS_WORKER_TRAINING_TOY_TRAINEE_H_
#define HALCYON_TESTS_WORKER_TRAINING_TOY_TRAINEE_H_

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <limits>

#include "base/philox.h"
#include "model/fused_layers.h"
#include "model/noise.h"
#include "worker/training/trainee.h"

namespace halcyon::worker {

class ToyTrainee : public Trainee {
 public:
  static constexpr int64_t kWidth = 5;

  explicit ToyTrainee(const jobs::TrainSpec& train) : train_(train) {
    first_weight_ = &first_.Add("first.weight", {7, kWidth}, model::InitKind::kWeight);
    first_bias_ = &first_.Add("first.bias", {7}, model::InitKind::kZero);
    second_weight_ = &second_.Add("second.weight", {3, 7}, model::InitKind::kWeight);
    first_weight_->decays = second_weight_->decays = true;
  }

  std::vector<model::Unit*> units() override { return {&first_, &second_}; }
  const jobs::TrainSpec& train_spec() const override { return train_; }
  jobs::InitRule init_rule() const override { return jobs::InitRule::kFanIn; }
  double init_std() const override { return 0.5; }
  std::vector<pipeline::MixturePart> items() const override { return {{.items = 40}}; }
  uint64_t tokens_per_sample() const override { return 1; }

  at::Tensor Forward(const at::Tensor& input) {
    const at::Tensor hidden = first_.Run(input, [this](const at::Tensor& rows) {
      return at::tanh(model::LinearRows(rows, first_weight_->value, first_bias_->value));
    });
    second_.Enter();
    return second_.Exit(model::LinearRows(hidden, second_weight_->value, {}));
  }

  absl::StatusOr<BatchTensors> Load(const MicroBatch& batch) override {
    if (batch.step == fails_to_load_) return DataLoss("page 7: checksum");
    if (batch.step != loads_wrong_) return BatchTensors{InputOf(batch.items), {}};
    std::vector<uint64_t> others = batch.items;
    ++others.front();
    return BatchTensors{InputOf(others), {}};
  }
  // Another item than it is told, for a sample of the step.
  void LoadWrong(uint64_t step) { loads_wrong_ = step; }
  void FailToLoad(uint64_t step) { fails_to_load_ = step; }
  void GiveNaN(uint64_t step) { gives_nan_ = step; }

  absl::StatusOr<Figures> ForwardBackward(const MicroBatch& batch,
                                          const BatchTensors& tensors) override {
    const at::Tensor& input = tensors.tokens;
    at::Tensor loss = LossOf(batch, input, Forward(input));
    if (batch.step == gives_nan_) loss = loss * std::numeric_limits<float>::quiet_NaN();
    loss.backward();
    ++passes_;
    return Figures{{"loss", loss.detach()}};
  }

  absl::StatusOr<nlohmann::json> Evaluate(cluster::Collectives&, bool) override {
    ++evaluations_;
    c10::NoGradGuard no_grad;
    return nlohmann::json{{"output", Forward(InputOf({0})).sum().item<double>()}};
  }
  std::map<std::string, std::string> Metadata() const override { return {{"kind", "toy"}}; }

  int passes() const { return passes_; }
  int evaluations() const { return evaluations_; }

  // The part of the mean loss that these samples are; in the type of `output`.
  static at::Tensor LossOf(const MicroBatch& batch, const at::Tensor& input,
                           const at::Tensor& output) {
    const at::Tensor noise =
        model::NoiseRows{1, NoiseStream::kHeadNoise, batch.step, batch.slots}.Normal({3});
    const at::Tensor weights =
        at::from_blob(const_cast<float*>(batch.weights.data()),
                      {static_cast<int64_t>(batch.weights.size())}, at::kFloat);
    const at::Tensor error = (output - input.narrow(1, 0, 3) - 0.1 * noise).pow(2).sum(1);
    return (error * weights).sum() / batch.divisor;
  }

  static at::Tensor InputOf(const std::vector<uint64_t>& items) {
    return model::NoiseRows{3, NoiseStream::kEvaluation, 0, items}.Normal({kWidth});
  }

 private:
  jobs::TrainSpec train_;
  model::Unit first_{"first"}, second_{"second"};
  model::Parameter *first_weight_, *first_bias_, *second_weight_;
  uint64_t fails_to_load_ = ~uint64_t{0}, gives_nan_ = ~uint64_t{0}, loads_wrong_ = ~uint64_t{0};
  int passes_ = 0;
  int evaluations_ = 0;
};

}  // namespace halcyon::worker

#endif  // HALCYON_TESTS_WORKER_TRAINING_TOY_TRAINEE_H_
