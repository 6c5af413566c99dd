#include "worker/tasks/latent_batches.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <vector>

namespace halcyon::worker {

absl::StatusOr<at::Tensor> EncodeChunks(model::Autoencoder& autoencoder,
                                        const pipeline::Packing& packing, uint32_t shard,
                                        pipeline::Split split, uint64_t first, uint64_t count) {
  c10::NoGradGuard no_grad;
  const int64_t chunk_size = packing.rule().chunk_size;
  std::vector<uint32_t> ids(count * chunk_size);
  RETURN_IF_ERROR(packing.TokensOfShard(shard, split, first, ids));
  const at::Tensor tokens = at::empty({static_cast<int64_t>(count), chunk_size}, at::kLong);
  std::copy(ids.begin(), ids.end(), tokens.data_ptr<int64_t>());
  const model::Posterior posterior = autoencoder.Encode(tokens);
  return at::cat({posterior.mean, posterior.log_std}, 1).cpu();
}

}  // namespace halcyon::worker
