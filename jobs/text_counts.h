// Counts of a job's text as tokens, and whether they suffice for the later stages. Pure.
#ifndef HALCYON_JOBS_TEXT_COUNTS_H_
#define HALCYON_JOBS_TEXT_COUNTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "jobs/job_spec.h"

namespace halcyon::jobs {

struct TextCounts {
  uint64_t train_documents = 0;
  uint64_t heldout_documents = 0;
  uint64_t train_chunks = 0;
  uint64_t autoencoder_chunks = 0;  // of the training text that the autoencoder learns from
  uint64_t model_chunks = 0;        // of the training text that the language model learns from
  uint64_t heldout_chunks = 0;
};

// kInvalidArgument, with what to change, when a stage would find nothing to work on: no training
// text, less than one training window, evaluations while training without held-out text. Also when
// there is more held-out text than random numbers are counted for (2^30 chunks).
absl::Status CheckText(const JobSpec& spec, const TextCounts& counts);

// Why there will be no score, with what to change; "" when there will be one.
std::string WhyNoScore(const JobSpec& spec, const TextCounts& counts);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_TEXT_COUNTS_H_
