#include <algorithm>

#include "pipeline/document_reader.h"
#include "pipeline/heldout_split.h"
#include "pipeline/sample_order.h"
#include "pipeline/shard_plan.h"
#include "pipeline/tokenizer.h"
#include "worker/tasks/tasks.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;

// Text beyond train_bytes_max is left out by whole shards, taken in a fixed random order, so that a
// capped sample comes from all over the sources.
constexpr uint64_t kShardOrderSeed = 0;

absl::StatusOr<std::shared_ptr<const pipeline::Tokenizer>> TrainTokenizer(
    const TaskContext& context) {
  const jobs::JobSpec& spec = *context.spec;
  ASSIGN_OR_RETURN(auto trainer,
                   pipeline::BpeTrainer::Create(
                       {static_cast<uint32_t>(spec.tokenizer.vocab_size), spec.tokenizer.pattern}));
  ASSIGN_OR_RETURN(const auto shards, pipeline::PlanShards(spec.data));
  const pipeline::SampleOrder order(kShardOrderSeed, shards.size());
  int64_t bytes = 0;
  for (size_t i = 0; i < shards.size() && bytes < spec.tokenizer.train_bytes_max; ++i) {
    const auto read =
        pipeline::ReadDocuments(spec.data, shards[order.ItemAt(i)], [&](std::string_view text) {
          if (pipeline::IsHeldout(text, spec.data.heldout)) return absl::OkStatus();
          if (bytes >= spec.tokenizer.train_bytes_max) return absl::OkStatus();
          bytes += static_cast<int64_t>(text.size());
          trainer->Add(text);
          return absl::OkStatus();
        });
    RETURN_IF_ERROR(read.status());
    context.on_progress(0.9 * static_cast<double>(i + 1) / static_cast<double>(shards.size()));
  }
  return trainer->Train();
}

}  // namespace

absl::StatusOr<json> RunTokenizerTask(const TaskContext& context) {
  const jobs::TokenizerSpec& spec = context.spec->tokenizer;
  ASSIGN_OR_RETURN(const auto tokenizer, spec.path.empty() ? TrainTokenizer(context)
                                                           : pipeline::Tokenizer::Load(spec.path));
  return WriteFileArtifact(context, "tokenizer.json", tokenizer->ToJson(),
                           {{"vocab_size", tokenizer->vocab_size()}});
}

}  // namespace halcyon::worker
