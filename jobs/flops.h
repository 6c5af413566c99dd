// How much arithmetic a training step is, from the settings alone. Pure.
#ifndef HALCYON_JOBS_FLOPS_H_
#define HALCYON_JOBS_FLOPS_H_

#include <cstdint>

#include "jobs/job_spec.h"
#include "jobs/stages.h"

namespace halcyon::jobs {

// Floating-point operations of the matrix products of one step over the global batch, forward and
// backward: the model's FLOPs, by which utilisation is defined (Chowdhery et al., "PaLM", appendix
// B). A product of [m, k] and [k, n] counts 2 m k n, backward twice as much as forward, causal
// attention half of the square. What is computed twice (launch.recompute) counts once; norms,
// activations, the energy loss and the optimizer do not count.
// REQUIRES: `kind` is a training stage that the job has.
double StepFlops(const JobSpec& spec, StageKind kind, int64_t vocab_size);

// Of encoding one chunk, forward. The layers that see one token each count only where their states
// of the whole vocabulary are not kept (Autoencoder::KeepTokenStates).
double EncodingFlops(const AutoencoderSpec& spec, bool token_states_kept);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_FLOPS_H_
