#include "worker/inputs/latent_batches.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace halcyon::worker {
namespace {

// Of the text, for each token of the vocabulary. Several agents make the states, each for itself.
constexpr uint64_t kTokensForAState = 16;

}  // namespace

std::vector<LatentBatch> LatentBatchesOf(uint64_t train_chunks, uint64_t heldout_chunks) {
  std::vector<LatentBatch> batches;
  for (const auto& [split, chunks] : {std::pair(pipeline::Split::kTrain, train_chunks),
                                      std::pair(pipeline::Split::kHeldout, heldout_chunks)}) {
    for (uint64_t first = 0; first < chunks; first += kLatentBatchChunks) {
      batches.push_back({split, first, std::min(kLatentBatchChunks, chunks - first)});
    }
  }
  return batches;
}

bool KeepsTokenStates(int64_t chunk_size, int64_t vocab_size, uint64_t chunks) {
  const uint64_t tokens = chunks * static_cast<uint64_t>(chunk_size);
  return tokens / kTokensForAState >= static_cast<uint64_t>(vocab_size);
}

bool PrepareEncoding(model::Autoencoder& autoencoder, uint64_t chunks) {
  if (!KeepsTokenStates(autoencoder.spec().chunk_size, autoencoder.vocab_size(), chunks)) {
    return false;
  }
  autoencoder.KeepTokenStates();
  return true;
}

bool PrepareEncoding(model::Autoencoder& autoencoder, const pipeline::Packing& text) {
  return PrepareEncoding(
      autoencoder, text.Chunks(pipeline::Split::kTrain) + text.Chunks(pipeline::Split::kHeldout));
}

at::Tensor EncodeRows(model::Autoencoder& autoencoder, const at::Tensor& tokens) {
  c10::NoGradGuard no_grad;
  const model::Posterior posterior = autoencoder.Encode(tokens);
  return at::cat({posterior.mean, posterior.log_std}, 1).cpu();
}

absl::StatusOr<at::Tensor> EncodeBatch(model::Autoencoder& autoencoder,
                                       const pipeline::Packing& packing, uint32_t shard,
                                       const LatentBatch& batch) {
  const int64_t chunk_size = packing.rule().chunk_size;
  std::vector<uint32_t> ids(batch.count * chunk_size);
  RETURN_IF_ERROR(packing.TokensOfShard(shard, batch.split, batch.first, ids));
  const at::Tensor tokens = at::empty({static_cast<int64_t>(batch.count), chunk_size}, at::kLong);
  std::copy(ids.begin(), ids.end(), tokens.data_ptr<int64_t>());
  return EncodeRows(autoencoder, tokens);
}

}  // namespace halcyon::worker
