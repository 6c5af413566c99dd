#include "worker/commands/verify_latents_command.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/standard_output.h"
#include "jobs/stage_identity.h"
#include "pipeline/samples/sample_order.h"
#include "storage/cache_format.h"
#include "storage/latent_format.h"
#include "worker/compute_device.h"
#include "worker/inputs/latent_batches.h"

namespace halcyon::worker {
namespace {

using pipeline::Split;

struct Batch {
  uint32_t shard = 0;
  LatentBatch chunks;
};

std::vector<Batch> BatchesOf(const storage::LatentReader& latents) {
  std::vector<Batch> batches;
  for (uint32_t shard = 0; shard < latents.shards(); ++shard) {
    for (const LatentBatch& chunks : LatentBatchesOf(latents.Chunks(shard, Split::kTrain),
                                                     latents.Chunks(shard, Split::kHeldout))) {
      batches.push_back({shard, chunks});
    }
  }
  return batches;
}

// What was found of the batches so far.
struct Comparison {
  uint64_t batches = 0, chunks = 0, values = 0;
  uint64_t different = 0;  // values
  double largest = 0;      // difference, as LatentToleranceMax
};

// Of a row of the batch; kDataLoss when it is too different.
absl::Status CompareRow(const Batch& batch, uint64_t row, std::span<const float> stored,
                        std::span<const float> made, double difference_max, Comparison* found) {
  for (size_t i = 0; i < stored.size(); ++i) {
    if (stored[i] == made[i]) continue;
    ++found->different;
    const double difference = std::abs(static_cast<double>(stored[i]) - made[i]) /
                              std::max(1.0, std::abs(static_cast<double>(stored[i])));
    found->largest = std::max(found->largest, difference);
    if (difference <= difference_max) continue;
    return DataLoss(fmt::format(
        "chunk {} of shard {} ({}): value {} is stored as {}, and encoded again it is {}: other "
        "weights or another text made it; `halcyon cache verify` says whether a file is damaged",
        batch.chunks.first + row, batch.shard, storage::NameOf(batch.chunks.split), i, stored[i],
        made[i]));
  }
  return absl::OkStatus();
}

absl::Status CompareBatch(const Batch& batch, model::Autoencoder& autoencoder,
                          jobs::Precision precision, const pipeline::Packing& packing,
                          storage::LatentReader& latents, Comparison* found) {
  const auto& [split, first, count] = batch.chunks;
  ASSIGN_OR_RETURN(const at::Tensor rows,
                   EncodeBatch(autoencoder, packing, batch.shard, batch.chunks));
  const size_t width = 2 * static_cast<size_t>(latents.latent_size());
  std::vector<float> stored(count * width), made(count * width);
  if (static_cast<size_t>(rows.numel()) != made.size()) {
    return FailedPrecondition(
        fmt::format("the autoencoder gives {} values a chunk, {} are stored", rows.size(1), width));
  }
  ASSIGN_OR_RETURN(const jobs::LatentFormat format, latents.FormatAt(batch.shard, split, first));
  std::copy_n(rows.const_data_ptr<float>(), made.size(), made.begin());
  storage::RoundNumbers(format, made);
  RETURN_IF_ERROR(latents.Read(batch.shard, split, first, stored));
  for (uint64_t row = 0; row < count; ++row) {
    const auto of = [&](const std::vector<float>& values) {
      return std::span<const float>(values).subspan(row * width, width);
    };
    RETURN_IF_ERROR(
        CompareRow(batch, row, of(stored), of(made), LatentToleranceMax(format, precision), found));
  }
  ++found->batches;
  found->chunks += count;
  found->values += made.size();
  return absl::OkStatus();
}

// In which the latents were encoded. A folder without a record says nothing of it.
absl::StatusOr<jobs::Precision> EncodingPrecision(const ArtifactInputs& inputs) {
  ASSIGN_OR_RETURN(const auto artifact, OpenArtifact(inputs, "latents"));
  if (!artifact.artifact()) return jobs::Precision::kFloat32;
  return jobs::EncodingPrecisionOf(artifact.artifact()->record.fields);
}

std::string Text(const Comparison& found, size_t batches) {
  std::string text = fmt::format("latents: {} chunks encoded again, {} of {} batches; ",
                                 found.chunks, found.batches, batches);
  if (found.different == 0) return text + "all equal what is stored\n";
  return text + fmt::format("{} of {} values differ, by {:.2g} of max(1, |value|) at most\n",
                            found.different, found.values, found.largest);
}

}  // namespace

absl::Status RunVerifyLatents(const VerifyLatentsCommand& command) {
  if (command.batches < 1) return InvalidArgument("--batches: one is the least");
  if (!command.inputs.contains("latents")) {
    return InvalidArgument(
        "the job stores no latents, so there is nothing to compare: its ranks encode what they "
        "read (data.latents), or its head is softmax");
  }
  ASSIGN_OR_RETURN(const ComputeDevice compute, OpenDevice(command.device));
  at::set_num_threads(1);  // as the agents that made them
  ASSIGN_OR_RETURN(const auto tokenizer, OpenTokenizer(command.inputs));
  ASSIGN_OR_RETURN(const auto autoencoder,
                   OpenAutoencoder(*Env::Posix(), command.inputs, compute.device));
  ASSIGN_OR_RETURN(const PackedTokens tokens,
                   OpenPackedTokens(command.inputs, *tokenizer, autoencoder->spec()));
  ASSIGN_OR_RETURN(const auto latents,
                   OpenLatents(command.inputs, autoencoder->spec().latent_size));
  ASSIGN_OR_RETURN(const jobs::Precision precision, EncodingPrecision(command.inputs));
  autoencoder->EncodeIn(precision);
  PrepareEncoding(*autoencoder, *tokens.packing);  // as the agents
  const std::vector<Batch> batches = BatchesOf(*latents);
  Comparison found;
  if (!batches.empty()) {
    const pipeline::SampleOrder order(command.seed, batches.size(), NoiseStream::kEvaluation);
    const uint64_t count = std::min<uint64_t>(command.batches, batches.size());
    for (uint64_t i = 0; i < count; ++i) {
      RETURN_IF_ERROR(CompareBatch(batches[order.ItemAt(i)], *autoencoder, precision,
                                   *tokens.packing, *latents, &found));
    }
  }
  const nlohmann::json json = {
      {"batches", found.batches},     {"of_batches", batches.size()},
      {"chunks", found.chunks},       {"values", found.values},
      {"different", found.different}, {"largest_difference", found.largest}};
  StandardOutput::OfProcess().Print(command.json ? json.dump() + "\n"
                                                 : Text(found, batches.size()));
  return absl::OkStatus();
}

}  // namespace halcyon::worker
