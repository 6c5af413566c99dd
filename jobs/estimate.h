// What a job needs, from its settings alone: parameters, memory and disk. Pure.
//
// Memory and disk are lower bounds: a job needs at least as much. A machine with less certainly
// cannot run it.
#ifndef HALCYON_JOBS_ESTIMATE_H_
#define HALCYON_JOBS_ESTIMATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "jobs/job_spec.h"
#include "jobs/stages.h"

namespace halcyon::jobs {

// One training stage.
struct TrainingEstimate {
  StageKind kind{};
  uint64_t parameters = 0;  // exact, given the vocabulary
  // Over all ranks: weights, gradients and AdamW's two averages (16 bytes a parameter, divided
  // among the ranks), and what a micro-batch leaves for the backward pass on each rank.
  uint64_t memory_bytes = 0;
  // Checkpoints (12 bytes a parameter), as many as exist at the same time, and the finished
  // weights.
  uint64_t disk_bytes = 0;
};

// One for each training stage of the job, in order. `vocab_size`: tokens of the vocabulary.
std::vector<TrainingEstimate> EstimateTraining(const JobSpec& spec, int64_t vocab_size);

// The fewest tokens of a vocabulary that is still to be trained, which may be fewer than asked for.
int64_t VocabularyMin(const JobSpec& spec);

// Bytes of the tokens (two or four each) and of the latents (two numbers an element) of a text.
uint64_t TokenBytes(uint64_t tokens, int64_t vocab_size);
uint64_t LatentBytes(const JobSpec& spec, uint64_t chunks);

// "3.2 GB", "17 MB": three digits at most.
std::string BytesText(uint64_t bytes);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_ESTIMATE_H_
