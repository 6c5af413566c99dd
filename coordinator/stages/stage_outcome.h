// What making a stage gives: a synced folder, ready to be installed as an artifact.
#ifndef HALCYON_COORDINATOR_STAGES_STAGE_OUTCOME_H_
#define HALCYON_COORDINATOR_STAGES_STAGE_OUTCOME_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "base/status.h"

namespace halcyon::coordinator {

struct StageOutcome {
  std::string made_dir;
  std::string content_digest;
  uint64_t bytes = 0;
  nlohmann::json facts = nlohmann::json::object();
};

// Of the result that a worker sends, {"content_digest", "bytes", "facts"}, for what it made in
// `made_dir`. kInternal when it lacks one of them.
inline absl::StatusOr<StageOutcome> OutcomeFromResult(const nlohmann::json& result,
                                                      std::string made_dir) {
  StageOutcome outcome;
  outcome.made_dir = std::move(made_dir);
  try {
    result.at("content_digest").get_to(outcome.content_digest);
    result.at("bytes").get_to(outcome.bytes);
    outcome.facts = result.at("facts");
  } catch (const nlohmann::json::exception& error) {
    return Internal(std::string("a stage's result: ") + error.what());
  }
  return outcome;
}

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_STAGES_STAGE_OUTCOME_H_
