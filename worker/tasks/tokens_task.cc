#include "pipeline/document_reader.h"
#include "pipeline/heldout_split.h"
#include "pipeline/tokenizer.h"
#include "storage/token_cache.h"
#include "worker/inputs/artifacts.h"
#include "worker/tasks/tasks.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;

absl::StatusOr<pipeline::SourceShard> ShardOf(const json& parameters) {
  const json shard = parameters.value("shard", json::object());
  pipeline::SourceShard source;
  try {
    source.shard = shard.at("shard").get<uint32_t>();
    source.path = shard.at("path").get<std::string>();
    source.begin = shard.at("begin").get<uint64_t>();
    source.end = shard.at("end").get<uint64_t>();
    source.xxh3 = shard.at("xxh3").get<uint64_t>();
  } catch (const json::exception& error) {
    return InvalidArgument(std::string("lease of a tokens task: ") + error.what());
  }
  return source;
}

}  // namespace

absl::StatusOr<json> RunTokensTask(const TaskContext& context) {
  const cluster::Lease& lease = *context.lease;
  const jobs::DataSpec& data = context.spec->data;
  ASSIGN_OR_RETURN(const pipeline::SourceShard shard, ShardOf(lease.parameters));
  ASSIGN_OR_RETURN(const auto tokenizer, OpenTokenizer(ArtifactInputs::Of(lease.assignment)));
  const auto encoder = pipeline::Encoder::Create(tokenizer);
  storage::TokenShardWriter writer(ShardPath(lease, shard.shard), lease.assignment.fingerprint,
                                   shard.shard, lease.fence, tokenizer->vocab_size());
  std::vector<uint32_t> ids;
  uint64_t bytes = 0;
  const pipeline::HeldoutSplit split(data, shard.path);
  const auto counts = pipeline::ReadDocuments(data, shard, [&](std::string_view text) {
    ids.clear();
    encoder->Encode(text, &ids);
    writer.AddDocument(split.Holds(text) ? storage::Split::kHeldout : storage::Split::kTrain, ids);
    bytes += text.size();
    context.on_progress(static_cast<double>(bytes) / static_cast<double>(shard.end - shard.begin));
    return absl::OkStatus();
  });
  RETURN_IF_ERROR(counts.status());
  ASSIGN_OR_RETURN(const storage::SstFile sst,
                   writer.Finish({{"invalid_utf8", counts->invalid_utf8},
                                  {"invalid_documents", counts->invalid_documents},
                                  {"bad_documents", counts->bad_documents},
                                  {"bytes", counts->bytes}}));
  json result = SstResult(sst, {{"documents", counts->documents}});
  AddWarning(pipeline::WarningOf(shard, *counts), &result);
  return result;
}

}  // namespace halcyon::worker
