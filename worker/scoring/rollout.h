// Four-token draws from models whose chunks are shorter than that.
#ifndef HALCYON_WORKER_SCORING_ROLLOUT_H_
#define HALCYON_WORKER_SCORING_ROLLOUT_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/autoencoder.h"
#include "model/calm_model.h"

namespace halcyon::worker {

// Chunks that hold a four-gram.
int64_t ChunksOfGram(int64_t chunk_size);

struct RollOutKey {
  uint64_t seed = 0;
  uint64_t window = 0;  // names the random numbers, with the seed
};

// Goes on from draws of the next chunk, chunk after chunk, until there are four tokens: each draw
// sees the window up to its place and then itself.
//
// tokens: int64 [1, T, K], the window; first_visible: int64 [1, T], of its chunks, undefined
// without a document mask: a draw sees what the chunk in its place does; cache: what the backbone
// kept of its first T - 1 chunks, and again at the end; draws: int64 [places, N, K], draws[p] of
// the chunk after chunks 0 ... p. Returns int64 [places, N, 4]. A draw that equals, up to some
// chunk, neither the text nor another draw of its place can add no more to a Brier score: it is not
// continued, and its remaining tokens are negative and its own (BrierAccumulator::AddSamples). The
// networks are called equally often whatever is drawn, so that ranks stay in step.
at::Tensor RollOut(model::CalmModel& model, model::Autoencoder& autoencoder,
                   model::BackboneCache& cache, const at::Tensor& tokens,
                   const at::Tensor& first_visible, const at::Tensor& draws, const RollOutKey& key);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_SCORING_ROLLOUT_H_
