// What a job takes before it runs: parameters, memory and disk, from its settings alone. Pure.
//
// Memory and disk are lower bounds: a job needs at least as much. So what does not fit here surely
// does not fit.
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
  // Checkpoints (12 bytes a parameter), as many as lie there at a time, and the finished weights.
  uint64_t disk_bytes = 0;
};

// Those that the job has, in the order of its stages. `vocab_size`: tokens of the vocabulary.
std::vector<TrainingEstimate> EstimateTraining(const JobSpec& spec, int64_t vocab_size);

// Of a vocabulary that is still to be trained: what it holds at the least, and what is asked for.
int64_t VocabularyMin(const JobSpec& spec);

// Bytes of the tokens (two or four each) and of the latents (two half floats an element) of a text.
uint64_t TokenBytes(uint64_t tokens, int64_t vocab_size);
uint64_t LatentBytes(const JobSpec& spec, uint64_t chunks);

// "3.2 GB", "17 MB": three digits at most.
std::string BytesText(uint64_t bytes);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_ESTIMATE_H_
