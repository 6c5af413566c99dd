// Measures finished networks on held-out text: the eval stage, and `halcyon eval`.
#ifndef HALCYON_WORKER_SCORING_MODEL_REPORT_H_
#define HALCYON_WORKER_SCORING_MODEL_REPORT_H_

#include <cstdint>
#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/status.h"
#include "jobs/job_spec.h"
#include "model/brier.h"
#include "worker/inputs/artifacts.h"

namespace halcyon::worker {

struct ReportOptions {
  jobs::EvalSpec eval;  // final_windows, samples, bootstrap, continuations ...
  uint64_t seed = 1;
  model::BrierProtocol protocol = model::BrierProtocol::kPairwise;
  double noise_std = 0.3;  // that the autoencoder is to withstand
  c10::Device device = c10::kCPU;
  // Names the parts of the held-out text that are scored apart; null: as the model's job does.
  const jobs::DataSpec* data = nullptr;
  bool must_score = true;  // false: text that is too short for a score is no error
};

// Needs the artifacts tokenizer and tokens, and reports on what else is given: an autoencoder, a
// softmax baseline ("model"), or a CALM model with its autoencoder and its latents, which the
// autoencoder makes again where they are not given.
//
// Of an autoencoder:
//   reconstruction, reconstruction_tokens  share of held-out tokens that the posterior's mean gives
//                                          back, and how many tokens there were
//   autoencoder                            worker/scoring/reconstruction.h
// Of a language model:
//   head             energy | flow | diffusion | softmax
//   protocol         pairwise | two-samples; samples: draws a place (none with a softmax)
//   brier_lm, brier_low, brier_high        score and its 95 % interval, of 100 at most
//   brier_reference  with two-samples: the same without the factor of 100
//   brier, accuracy, collision             of n-grams of 1 ... 4 tokens, four numbers each
//   brier_counted    brier as it enters the score: with pairwise, 0 where it is negative
//   windows, token_context, chunk_size, positions, documents  what was scored: scores compare only
//                                          at equal contexts and chunk sizes
//   heldout_loss, heldout_terms            the head's own loss and its parts by name
//   heldout_parts    [{name, windows, brier_lm, brier_low, brier_high, heldout_loss,
//   heldout_terms}]:
//                    the parts of the held-out text (jobs/heldout_parts.h), each by itself; name
//                    and windows 0 alone for one that fills no window
//   perplexity       with a softmax: exp(heldout_terms.cross_entropy)
//   continuations    [{prompt, text}]
//   no_score         without `must_score`, in place of all figures when there is too little
//   held-out
//                    text: why; prompts are then of the training text
absl::StatusOr<nlohmann::json> MakeReport(Env& env, const ArtifactInputs& artifacts,
                                          const ReportOptions& options,
                                          const std::function<void(double)>& on_progress);

// The same for people.
std::string ReportText(const nlohmann::json& report);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_SCORING_MODEL_REPORT_H_
