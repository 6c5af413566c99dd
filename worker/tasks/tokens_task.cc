#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "pipeline/sources/document_cutter.h"
#include "pipeline/sources/document_reader.h"
#include "pipeline/sources/heldout_split.h"
#include "pipeline/token_files/token_documents.h"
#include "pipeline/tokenizer.h"
#include "storage/token_cache.h"
#include "worker/inputs/artifacts.h"
#include "worker/tasks/tasks.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;

// Shown of a shard; files in the wrong encoding are rarely alone.
constexpr size_t kWarningsMax = 3;

struct ShardToRead {
  uint32_t number = 0;
  pipeline::Shard ranges;
};

absl::StatusOr<ShardToRead> ShardOf(const json& parameters) {
  ShardToRead shard;
  try {
    shard.number = parameters.at("shard").get<uint32_t>();
    for (const json& range : parameters.at("ranges")) {
      shard.ranges.push_back({.path = range.at(0).get<std::string>(),
                              .begin = range.at(1).get<uint64_t>(),
                              .end = range.at(2).get<uint64_t>(),
                              .xxh3 = range.at(3).get<uint64_t>()});
    }
  } catch (const json::exception& error) {
    return InvalidArgument(std::string("lease of a tokens task: ") + error.what());
  }
  if (shard.ranges.empty()) return InvalidArgument("lease of a tokens task: a shard of nothing");
  return shard;
}

// The documents of one shard on their way into the cache.
class ShardFiller {
 public:
  ShardFiller(const TaskContext& context, const ShardToRead& shard,
              const pipeline::Tokenizer& tokenizer)
      : context_(context),
        data_(context.spec->data),
        tokenizer_(tokenizer),
        first_path_(shard.ranges.front().path),
        split_(data_, first_path_),  // that of all: a shard is of one part of the text
        writer_(ShardPath(*context.lease, shard.number), context.lease->assignment.fingerprint,
                shard.number, context.lease->fence, tokenizer.vocab_size()) {
    for (const pipeline::SourceRange& range : shard.ranges) all_bytes_ += range.end - range.begin;
  }

  absl::Status AddText(const pipeline::SourceRange& range, pipeline::Encoder* encoder) {
    const uint64_t before = bytes_;
    const auto counts = pipeline::ReadDocuments(data_, range, [&](std::string_view text) {
      ids_.clear();
      encoder->Encode(text, &ids_);
      Add(text, ids_);
      Report(bytes_ - before);
      return absl::OkStatus();
    });
    RETURN_IF_ERROR(counts.status());
    counts_["invalid_utf8"] += counts->invalid_utf8;
    counts_["invalid_documents"] += counts->invalid_documents;
    counts_["bad_documents"] += counts->bad_documents;
    EndRange(range, pipeline::WarningOf(range, *counts));
    return absl::OkStatus();
  }

  // Whether a document is held out, or blank and left out, depends on the text that its ids stand
  // for, as if that had been read.
  absl::Status AddIds(const pipeline::SourceRange& range, const std::vector<bool>& known) {
    const auto range_bytes = static_cast<double>(range.end - range.begin);
    const auto counts = pipeline::ReadTokenDocuments(
        *context_.env, data_, range, known,
        [&](std::span<const uint32_t> ids, double done) -> absl::Status {
          ASSIGN_OR_RETURN(const std::string text, tokenizer_.Decode(ids, /*keep_special=*/true));
          if (!pipeline::IsBlank(text)) Add(text, ids);
          Report(static_cast<uint64_t>(done * range_bytes));
          return absl::OkStatus();
        });
    RETURN_IF_ERROR(counts.status());
    EndRange(range, pipeline::WarningOf(data_, range, *counts));
    return absl::OkStatus();
  }

  absl::StatusOr<json> Finish() {
    counts_["bytes"] = bytes_;
    ASSIGN_OR_RETURN(const storage::SstFile sst, writer_.Finish(counts_));
    json result = SstResult(sst, {{"documents", documents_}});
    for (size_t i = 0; i < std::min(warnings_.size(), kWarningsMax); ++i) {
      AddWarning(warnings_[i], &result);
    }
    if (warnings_.size() > kWarningsMax) {
      AddWarning(fmt::format("{} more files of the shard that begins with {} give a warning",
                             warnings_.size() - kWarningsMax, first_path_),
                 &result);
    }
    return result;
  }

 private:
  void Add(std::string_view text, std::span<const uint32_t> ids) {
    writer_.AddDocument(split_.Holds(text) ? storage::Split::kHeldout : storage::Split::kTrain,
                        ids);
    ++documents_;
    bytes_ += text.size();
  }

  void Report(uint64_t bytes_of_range) const {
    context_.on_progress(static_cast<double>(read_bytes_ + bytes_of_range) /
                         static_cast<double>(all_bytes_));
  }

  void EndRange(const pipeline::SourceRange& range, std::string warning) {
    read_bytes_ += range.end - range.begin;
    if (!warning.empty()) warnings_.push_back(std::move(warning));
  }

  const TaskContext& context_;
  const jobs::DataSpec& data_;
  const pipeline::Tokenizer& tokenizer_;
  const std::string first_path_;
  const pipeline::HeldoutSplit split_;
  storage::TokenShardWriter writer_;
  std::vector<uint32_t> ids_;  // of a document
  std::map<std::string, uint64_t> counts_;
  std::vector<std::string> warnings_;
  uint64_t documents_ = 0, bytes_ = 0;       // of text
  uint64_t read_bytes_ = 0, all_bytes_ = 0;  // of ranges: the finished ones, all
};

}  // namespace

struct TokensTask::Inputs {
  std::string fingerprint;
  std::shared_ptr<const pipeline::Tokenizer> tokenizer;
  std::unique_ptr<pipeline::Encoder> encoder;
  std::vector<bool> known_ids;  // of format = "tokens"
};

TokensTask::TokensTask() = default;
TokensTask::~TokensTask() = default;

absl::StatusOr<json> TokensTask::Run(const TaskContext& context) {
  const cluster::Lease& lease = *context.lease;
  ASSIGN_OR_RETURN(const ShardToRead shard, ShardOf(lease.parameters));
  const bool is_text = context.spec->data.format != jobs::DataFormat::kTokens;
  if (inputs_ == nullptr || inputs_->fingerprint != lease.assignment.fingerprint) {
    inputs_ = nullptr;  // its memory, before that of the next is taken
    ASSIGN_OR_RETURN(auto tokenizer, OpenTokenizer(ArtifactInputs::Of(lease.assignment)));
    auto encoder = pipeline::Encoder::Create(tokenizer);
    auto known_ids = is_text ? std::vector<bool>() : pipeline::KnownIds(*tokenizer);
    inputs_ = std::make_unique<Inputs>(Inputs{lease.assignment.fingerprint, std::move(tokenizer),
                                              std::move(encoder), std::move(known_ids)});
  }
  ShardFiller filler(context, shard, *inputs_->tokenizer);
  for (const pipeline::SourceRange& range : shard.ranges) {
    RETURN_IF_ERROR(is_text ? filler.AddText(range, inputs_->encoder.get())
                            : filler.AddIds(range, inputs_->known_ids));
  }
  return filler.Finish();
}

}  // namespace halcyon::worker
