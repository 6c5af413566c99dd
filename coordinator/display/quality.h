// Warnings for a person when a finished stage's figures show a poor result: a job may end without
// an error and its model may still have learned little.
#ifndef HALCYON_COORDINATOR_DISPLAY_QUALITY_H_
#define HALCYON_COORDINATOR_DISPLAY_QUALITY_H_

#include <nlohmann/json.hpp>
#include <string>

#include "jobs/stages.h"

namespace halcyon::coordinator {

// "" when the figures are good or were not reported. Of the autoencoder: fewer than 95 % of
// held-out tokens come back. Of the evaluation: BrierLM is 0.
std::string QualityWarning(jobs::StageKind kind, const nlohmann::json& facts);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_DISPLAY_QUALITY_H_
