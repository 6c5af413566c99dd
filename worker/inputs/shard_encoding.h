// The chunks of a shard encoded into latents, each distinct one once.
//
// A quarter of the chunks of a text repeat an earlier one of their shard. Where the bits of a
// latent depend on its chunk alone, they are not encoded again, and what is stored is the same.
#ifndef HALCYON_WORKER_INPUTS_SHARD_ENCODING_H_
#define HALCYON_WORKER_INPUTS_SHARD_ENCODING_H_

#include <cstdint>
#include <span>

#include "absl/functional/function_ref.h"
#include "base/status.h"
#include "model/autoencoder.h"
#include "pipeline/samples/packing.h"

namespace halcyon::worker {

// Whether a row of a whole batch (kLatentBatchChunks) has the same bits wherever it stands and
// whatever the other rows are, on the autoencoder's device and in its precision: tried with three
// batches of random tokens. A library may choose otherwise; those that were tried do not.
bool RowsAreIndependent(model::Autoencoder& autoencoder);

// Repeated chunks are looked for among so many, which bounds the memory: 20 bytes a chunk and its
// tokens, and the posteriors of those that come again.
inline constexpr uint64_t kChunksSearched = 256 * 1024;

using UsePosteriors =
    absl::FunctionRef<absl::Status(pipeline::Split split, std::span<const float> rows)>;

// Gives `use` the posteriors of all chunks of the shard, training ones first, in order: float32
// [chunks, 2 * latent_size], at most kLatentBatchChunks at a time. Whole batches hold distinct
// chunks when `distinct_once`, for which rows must be independent; the last one of each split,
// which is shorter, is encoded as it is. Returns how many chunks were encoded.
absl::StatusOr<uint64_t> EncodeShard(model::Autoencoder& autoencoder,
                                     const pipeline::Packing& packing, uint32_t shard,
                                     bool distinct_once, UsePosteriors use);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_INPUTS_SHARD_ENCODING_H_
