#include <algorithm>

#include "storage/latent_cache.h"
#include "worker/inputs/artifacts.h"
#include "worker/inputs/latent_batches.h"
#include "worker/tasks/tasks.h"

namespace halcyon::worker {

using nlohmann::json;
using storage::Split;

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
  const uint32_t shard = lease.parameters.value("shard", uint32_t{0});
  ASSIGN_OR_RETURN(auto writer,
                   storage::LatentShardWriter::Create(
                       ShardPath(lease, shard), lease.assignment.fingerprint, shard, lease.fence,
                       static_cast<uint32_t>(inputs_->autoencoder->spec().latent_size)));
  const uint64_t train_chunks = packing.ChunksOfShard(shard, Split::kTrain);
  const uint64_t heldout_chunks = packing.ChunksOfShard(shard, Split::kHeldout);
  const double all = static_cast<double>(train_chunks + heldout_chunks);
  uint64_t done = 0;
  for (const LatentBatch& batch : LatentBatchesOf(train_chunks, heldout_chunks)) {
    ASSIGN_OR_RETURN(const at::Tensor rows,
                     EncodeBatch(*inputs_->autoencoder, packing, shard, batch));
    RETURN_IF_ERROR(writer->Append(
        batch.split, {rows.const_data_ptr<float>(), static_cast<size_t>(rows.numel())}));
    done += batch.count;
    context.on_progress(static_cast<double>(done) / all);
  }
  ASSIGN_OR_RETURN(const storage::SstFile sst, writer->Finish());
  return SstResult(sst, {{"chunks", done}});
}

}  // namespace halcyon::worker
