#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "storage/latent_cache.h"
#include "worker/inputs/artifacts.h"
#include "worker/tasks/tasks.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;
using storage::Split;

// Batches start at the shard's first chunk and have this size but for the last, so the bits of a
// latent depend on the shard alone.
constexpr uint64_t kBatchChunks = 1024;

}  // namespace

struct LatentsTask::Inputs {
  std::string fingerprint;
  PackedTokens tokens;
  std::unique_ptr<model::Autoencoder> autoencoder;
};

LatentsTask::LatentsTask() = default;
LatentsTask::~LatentsTask() = default;

absl::StatusOr<json> LatentsTask::Run(const TaskContext& context) {
  const cluster::Lease& lease = *context.lease;
  const ArtifactInputs artifacts = ArtifactInputs::Of(lease.assignment);
  if (inputs_ == nullptr || inputs_->fingerprint != lease.assignment.fingerprint) {
    auto inputs = std::make_unique<Inputs>();
    inputs->fingerprint = lease.assignment.fingerprint;
    ASSIGN_OR_RETURN(const auto tokenizer, OpenTokenizer(artifacts));
    ASSIGN_OR_RETURN(inputs->tokens,
                     OpenPackedTokens(artifacts, *tokenizer, context.spec->autoencoder));
    ASSIGN_OR_RETURN(inputs->autoencoder, OpenAutoencoder(*context.env, artifacts, context.device));
    inputs_ = std::move(inputs);
  }
  const pipeline::Packing& packing = *inputs_->tokens.packing;
  const int64_t chunk_size = packing.rule().chunk_size;
  const uint32_t shard = lease.parameters.value("shard", uint32_t{0});
  ASSIGN_OR_RETURN(auto writer,
                   storage::LatentShardWriter::Create(
                       ShardPath(lease, shard), lease.assignment.fingerprint, shard, lease.fence,
                       static_cast<uint32_t>(inputs_->autoencoder->spec().latent_size)));
  c10::NoGradGuard no_grad;
  const double all = static_cast<double>(packing.ChunksOfShard(shard, Split::kTrain) +
                                         packing.ChunksOfShard(shard, Split::kHeldout));
  uint64_t done = 0;
  for (const Split split : {Split::kTrain, Split::kHeldout}) {
    const uint64_t chunks = packing.ChunksOfShard(shard, split);
    for (uint64_t first = 0; first < chunks; first += kBatchChunks) {
      const uint64_t count = std::min(kBatchChunks, chunks - first);
      std::vector<uint32_t> ids(count * chunk_size);
      RETURN_IF_ERROR(packing.TokensOfShard(shard, split, first, ids));
      const at::Tensor tokens = at::empty({static_cast<int64_t>(count), chunk_size}, at::kLong);
      std::copy(ids.begin(), ids.end(), tokens.data_ptr<int64_t>());
      const model::Posterior posterior = inputs_->autoencoder->Encode(tokens);
      const at::Tensor rows = at::cat({posterior.mean, posterior.log_std}, 1).cpu();
      RETURN_IF_ERROR(
          writer->Append(split, {rows.const_data_ptr<float>(), static_cast<size_t>(rows.numel())}));
      done += count;
      context.on_progress(static_cast<double>(done) / all);
    }
  }
  ASSIGN_OR_RETURN(const storage::SstFile sst, writer->Finish());
  return SstResult(sst, {{"chunks", done}});
}

}  // namespace halcyon::worker
