// What a finished stage's figures say against its result, in sentences for a person: a job that
// ends is not yet a model that learned.
#ifndef HALCYON_COORDINATOR_QUALITY_H_
#define HALCYON_COORDINATOR_QUALITY_H_

#include <nlohmann/json.hpp>
#include <string>

#include "jobs/stages.h"

namespace halcyon::coordinator {

// "" when the figures are good or were not reported. Of the autoencoder: fewer than 95 % of
// held-out tokens come back. Of the evaluation: BrierLM is 0.
std::string QualityWarning(jobs::StageKind kind, const nlohmann::json& facts);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_QUALITY_H_
