// The batches in which the chunks of a shard are encoded into latents.
#ifndef HALCYON_WORKER_INPUTS_LATENT_BATCHES_H_
#define HALCYON_WORKER_INPUTS_LATENT_BATCHES_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "model/autoencoder.h"
#include "pipeline/samples/packing.h"

namespace halcyon::worker {

// A batch begins at a multiple of this many chunks of its shard and split, and has as many but for
// the last one: so the bits of a latent depend on the shard alone.
inline constexpr uint64_t kLatentBatchChunks = 1024;

struct LatentBatch {
  pipeline::Split split = pipeline::Split::kTrain;
  uint64_t first = 0, count = 0;  // chunks
};
// Of a shard with so many chunks of each split, in the order in which they are written.
std::vector<LatentBatch> LatentBatchesOf(uint64_t train_chunks, uint64_t heldout_chunks);

// Whether the states of all tokens (Autoencoder::KeepTokenStates) are kept: they are made less
// often so than by encoding this many chunks, by far.
bool KeepsTokenStates(int64_t chunk_size, int64_t vocab_size, uint64_t chunks);
// Has the autoencoder keep them then, in the precision that it encodes in. Who encodes the same
// text gives the same number: bits depend on it. Whether they are kept.
bool PrepareEncoding(model::Autoencoder& autoencoder, uint64_t chunks);
// For encoding the whole text once.
bool PrepareEncoding(model::Autoencoder& autoencoder, const pipeline::Packing& text);

// Posteriors of chunks, the mean then the log_std of each: float32 [chunks, 2 * latent_size] on the
// CPU. tokens: int64 [chunks, K]. No gradients are kept.
at::Tensor EncodeRows(model::Autoencoder& autoencoder, const at::Tensor& tokens);
// The same of the batch's chunks.
absl::StatusOr<at::Tensor> EncodeBatch(model::Autoencoder& autoencoder,
                                       const pipeline::Packing& packing, uint32_t shard,
                                       const LatentBatch& batch);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_INPUTS_LATENT_BATCHES_H_
