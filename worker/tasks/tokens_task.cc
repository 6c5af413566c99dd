#include <map>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "pipeline/document_cutter.h"
#include "pipeline/document_reader.h"
#include "pipeline/heldout_split.h"
#include "pipeline/token_files/token_documents.h"
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

// The documents of one shard on their way into the cache.
class ShardFiller {
 public:
  ShardFiller(const TaskContext& context, const pipeline::SourceShard& shard,
              const pipeline::Tokenizer& tokenizer)
      : context_(context),
        data_(context.spec->data),
        shard_(shard),
        tokenizer_(tokenizer),
        split_(data_, shard.path),
        writer_(ShardPath(*context.lease, shard.shard), context.lease->assignment.fingerprint,
                shard.shard, context.lease->fence, tokenizer.vocab_size()) {}

  absl::StatusOr<json> FromText(pipeline::Encoder* encoder) {
    const auto shard_bytes = static_cast<double>(shard_.end - shard_.begin);
    std::vector<uint32_t> ids;
    const auto counts = pipeline::ReadDocuments(data_, shard_, [&](std::string_view text) {
      ids.clear();
      encoder->Encode(text, &ids);
      Add(text, ids);
      context_.on_progress(static_cast<double>(bytes_) / shard_bytes);
      return absl::OkStatus();
    });
    RETURN_IF_ERROR(counts.status());
    return Finish({{"invalid_utf8", counts->invalid_utf8},
                   {"invalid_documents", counts->invalid_documents},
                   {"bad_documents", counts->bad_documents}},
                  pipeline::WarningOf(shard_, *counts));
  }

  // Whether a document is held out, or blank and left out, depends on the text that its ids stand
  // for, as if that had been read.
  absl::StatusOr<json> FromIds() {
    const auto counts = pipeline::ReadTokenDocuments(
        *context_.env, data_, shard_, pipeline::KnownIds(tokenizer_),
        [&](std::span<const uint32_t> ids, double done) -> absl::Status {
          ASSIGN_OR_RETURN(const std::string text, tokenizer_.Decode(ids, /*keep_special=*/true));
          if (!pipeline::IsBlank(text)) Add(text, ids);
          context_.on_progress(done);
          return absl::OkStatus();
        });
    RETURN_IF_ERROR(counts.status());
    return Finish({}, pipeline::WarningOf(data_, shard_, *counts));
  }

 private:
  void Add(std::string_view text, std::span<const uint32_t> ids) {
    writer_.AddDocument(split_.Holds(text) ? storage::Split::kHeldout : storage::Split::kTrain,
                        ids);
    ++documents_;
    bytes_ += text.size();
  }

  absl::StatusOr<json> Finish(std::map<std::string, uint64_t> counts, const std::string& warning) {
    counts["bytes"] = bytes_;
    ASSIGN_OR_RETURN(const storage::SstFile sst, writer_.Finish(counts));
    json result = SstResult(sst, {{"documents", documents_}});
    AddWarning(warning, &result);
    return result;
  }

  const TaskContext& context_;
  const jobs::DataSpec& data_;
  const pipeline::SourceShard& shard_;
  const pipeline::Tokenizer& tokenizer_;
  const pipeline::HeldoutSplit split_;
  storage::TokenShardWriter writer_;
  uint64_t documents_ = 0, bytes_ = 0;  // of text
};

}  // namespace

struct TokensTask::Inputs {
  std::string fingerprint;
  std::shared_ptr<const pipeline::Tokenizer> tokenizer;
  std::unique_ptr<pipeline::Encoder> encoder;
};

TokensTask::TokensTask() = default;
TokensTask::~TokensTask() = default;

absl::StatusOr<json> TokensTask::Run(const TaskContext& context) {
  const cluster::Lease& lease = *context.lease;
  ASSIGN_OR_RETURN(const pipeline::SourceShard shard, ShardOf(lease.parameters));
  if (inputs_ == nullptr || inputs_->fingerprint != lease.assignment.fingerprint) {
    inputs_ = nullptr;  // its memory, before that of the next is taken
    ASSIGN_OR_RETURN(auto tokenizer, OpenTokenizer(ArtifactInputs::Of(lease.assignment)));
    auto encoder = pipeline::Encoder::Create(tokenizer);
    inputs_ = std::make_unique<Inputs>(
        Inputs{lease.assignment.fingerprint, std::move(tokenizer), std::move(encoder)});
  }
  ShardFiller filler(context, shard, *inputs_->tokenizer);
  return context.spec->data.format == jobs::DataFormat::kTokens
             ? filler.FromIds()
             : filler.FromText(inputs_->encoder.get());
}

}  // namespace halcyon::worker
