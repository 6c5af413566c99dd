// The batches in which the chunks of a shard are encoded into latents.
#ifndef HALCYON_WORKER_TASKS_LATENT_BATCHES_H_
#define HALCYON_WORKER_TASKS_LATENT_BATCHES_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/status.h"
#include "model/autoencoder.h"
#include "pipeline/packing.h"

namespace halcyon::worker {

// A batch begins at a multiple of this many chunks of its shard and split, and has as many but for
// the last one: so the bits of a latent depend on the shard alone.
inline constexpr uint64_t kLatentBatchChunks = 1024;

// Posteriors of chunks first ... first + count - 1 of a shard's split, the mean then the log_std of
// each: float32 [count, 2 * latent_size] on the CPU. No gradients are kept.
absl::StatusOr<at::Tensor> EncodeChunks(model::Autoencoder& autoencoder,
                                        const pipeline::Packing& packing, uint32_t shard,
                                        pipeline::Split split, uint64_t first, uint64_t count);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TASKS_LATENT_BATCHES_H_
