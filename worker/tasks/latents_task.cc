#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/clock.h"
#include "jobs/flops.h"
#include "model/precision.h"
#include "storage/latent_cache.h"
#include "worker/inputs/artifacts.h"
#include "worker/inputs/latent_batches.h"
#include "worker/inputs/shard_encoding.h"
#include "worker/tasks/tasks.h"
#include "worker/training/matrix_rate.h"

namespace halcyon::worker {

using nlohmann::json;
using storage::Split;

struct LatentsTask::Inputs {
  std::string fingerprint;
  PackedTokens tokens;
  std::unique_ptr<model::Autoencoder> autoencoder;
  bool keeps_token_states = false, distinct_once = false;
  double product_rate = 0;  // of a large product in the same precision, operations a second

  // So that a person sees whether the machine does what it can.
  void LogRate(uint32_t shard, uint64_t chunks, uint64_t encoded, int64_t spent_us) const {
    const double seconds = static_cast<double>(std::max<int64_t>(1, spent_us)) / 1e6;
    const double a_second = static_cast<double>(encoded) / seconds;
    const double rate = a_second * jobs::EncodingFlops(autoencoder->spec(), keeps_token_states);
    spdlog::info(
        "shard {}: {} chunks encoded in {:.2f} s, {:.0f} a second; the other {} of the shard "
        "repeat "
        "some of them; {:.2f} GFLOP/s, {:.0f} % of a large product of matrices",
        shard, encoded, seconds, a_second, chunks - encoded, rate / 1e9, 100 * rate / product_rate);
  }
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
    inputs->autoencoder->EncodeIn(context.spec->data.encoding_precision);
    inputs->keeps_token_states = PrepareEncoding(*inputs->autoencoder, *inputs->tokens.packing);
    inputs->distinct_once = RowsAreIndependent(*inputs->autoencoder);
    inputs->product_rate =
        MeasureMatrixRate(model::TypeOf(context.spec->data.encoding_precision), context.device);
    inputs_ = std::move(inputs);
  }
  const pipeline::Packing& packing = *inputs_->tokens.packing;
  const uint32_t shard = lease.parameters.value("shard", uint32_t{0});
  ASSIGN_OR_RETURN(auto writer,
                   storage::LatentShardWriter::Create(
                       ShardPath(lease, shard), lease.assignment.fingerprint, shard, lease.fence,
                       static_cast<uint32_t>(inputs_->autoencoder->spec().latent_size),
                       context.spec->data.latent_format));
  const uint64_t train_chunks = packing.ChunksOfShard(shard, Split::kTrain);
  const uint64_t heldout_chunks = packing.ChunksOfShard(shard, Split::kHeldout);
  const double all = static_cast<double>(train_chunks + heldout_chunks);
  const auto width = 2 * static_cast<size_t>(inputs_->autoencoder->spec().latent_size);
  uint64_t done = 0;
  int64_t spent_us = 0;  // encoding
  int64_t began_us = Clock::Real()->MonotonicUs();
  ASSIGN_OR_RETURN(const uint64_t encoded,
                   EncodeShard(*inputs_->autoencoder, packing, shard, inputs_->distinct_once,
                               [&](Split split, std::span<const float> rows) {
                                 spent_us += Clock::Real()->MonotonicUs() - began_us;
                                 RETURN_IF_ERROR(writer->Append(split, rows));
                                 done += rows.size() / width;
                                 context.on_progress(static_cast<double>(done) / all);
                                 began_us = Clock::Real()->MonotonicUs();
                                 return absl::OkStatus();
                               }));
  inputs_->LogRate(shard, done, encoded, spent_us);
  ASSIGN_OR_RETURN(const storage::SstFile sst, writer->Finish());
  return SstResult(sst, {{"chunks", done}});
}

}  // namespace halcyon::worker
