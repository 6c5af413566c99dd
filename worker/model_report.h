// What a finished model is worth on held-out text: the eval stage, and `halcyon eval`.
#ifndef HALCYON_WORKER_MODEL_REPORT_H_
#define HALCYON_WORKER_MODEL_REPORT_H_

#include <cstdint>
#include <functional>

#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/status.h"
#include "jobs/job_spec.h"
#include "worker/artifacts.h"

namespace halcyon::worker {

struct ReportOptions {
  jobs::EvalSpec eval;  // final_windows, samples, bootstrap, continuations ...
  uint64_t seed = 1;
};

// Needs the artifacts tokenizer, tokens, autoencoder, latents and model. {"brier_lm", "brier_low",
// "brier_high", "brier", "accuracy", "collision", "token_context", "windows", "heldout_loss",
// "reconstruction", "reconstruction_tokens", "continuations"}.
absl::StatusOr<nlohmann::json> MakeReport(Env& env, const ArtifactPaths& paths,
                                          const ReportOptions& options,
                                          const std::function<void(double)>& on_progress);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_MODEL_REPORT_H_
