// The learning-rate schedule of a training stage.
#ifndef HALCYON_MODEL_LEARNING_RATE_H_
#define HALCYON_MODEL_LEARNING_RATE_H_

#include <cstdint>

#include "jobs/job_spec.h"

namespace halcyon::model {

// Learning rate of step `step` = 0, 1, ... : linear warm-up from learning_rate / warmup_steps, then
// constant, cosine or linear decay to final_learning_rate_ratio * learning_rate at the last step.
double LearningRate(const jobs::TrainSpec& spec, uint64_t step);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_LEARNING_RATE_H_
