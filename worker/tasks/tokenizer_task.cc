#include <string>
#include <vector>

#include "base/digest.h"
#include "jobs/given_pattern.h"
#include "pipeline/samples/sample_order.h"
#include "pipeline/sources/document_reader.h"
#include "pipeline/sources/heldout_split.h"
#include "pipeline/sources/source_plans.h"
#include "pipeline/tokenizer.h"
#include "worker/tasks/tasks.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;

// Text beyond train_bytes_max is left out by whole ranges of sources, taken in a fixed random
// order, so that a capped sample comes from all over them.
constexpr uint64_t kRangeOrderSeed = 0;

using TokenizerOr = absl::StatusOr<std::shared_ptr<const pipeline::Tokenizer>>;

// `warnings` receives what a person should know of the text, a sentence for each range, and
// `facts` what was left out of it.
TokenizerOr TrainTokenizer(const TaskContext& context, json* facts,
                           std::vector<std::string>* warnings) {
  const jobs::JobSpec& spec = *context.spec;
  const json& parameters = context.lease->parameters;
  ASSIGN_OR_RETURN(auto trainer,
                   pipeline::BpeTrainer::Create(
                       {.vocab_size = static_cast<uint32_t>(spec.tokenizer.vocab_size),
                        .pattern = spec.tokenizer.pattern,
                        .words_bytes_max = static_cast<uint64_t>(spec.tokenizer.words_bytes_max)}));
  pipeline::SourcePlans plans(*context.env, parameters.value("source_plans", ""));
  ASSIGN_OR_RETURN(
      const pipeline::ShardPlan plan,
      plans.PlanShards(spec.data, parameters.value("source_digests", std::vector<std::string>())));
  const std::vector<pipeline::SourceRange> ranges = pipeline::RangesOf(plan);
  const pipeline::SampleOrder order(kRangeOrderSeed, ranges.size());
  int64_t bytes = 0;
  for (size_t i = 0; i < ranges.size() && bytes < spec.tokenizer.train_bytes_max; ++i) {
    const pipeline::SourceRange& range = ranges[order.ItemAt(i)];
    const pipeline::HeldoutSplit split(spec.data, range.path);
    if (split.holds_all()) continue;
    const auto counts = pipeline::ReadDocuments(spec.data, range, [&](std::string_view text) {
      if (split.Holds(text)) return absl::OkStatus();
      if (bytes >= spec.tokenizer.train_bytes_max) return absl::OkStatus();
      bytes += static_cast<int64_t>(text.size());
      trainer->Add(text);
      return absl::OkStatus();
    });
    RETURN_IF_ERROR(counts.status());
    warnings->push_back(pipeline::WarningOf(range, *counts));
    context.on_progress(0.9 * static_cast<double>(i + 1) / static_cast<double>(ranges.size()));
  }
  if (bytes == 0) {
    return InvalidArgument(
        "every document is held out, which leaves none to learn a vocabulary from; with few "
        "documents choose [data] documents = \"paragraphs\" or another rule that cuts the text "
        "into more, or write heldout = 0");
  }
  ASSIGN_OR_RETURN(auto tokenizer, trainer->Train());
  facts->update(json(pipeline::FactsOf(trainer->dropped())));
  warnings->push_back(pipeline::WarningOf(trainer->dropped()));
  return tokenizer;
}

// The bytes that are read must be those of the fingerprint.
TokenizerOr ImportTokenizer(const TaskContext& context) {
  const std::string& path = context.spec->tokenizer.path;
  const auto bytes = context.env->ReadFile(path);
  if (absl::IsNotFound(bytes.status())) return pipeline::SourceChanged(path, "it is gone");
  RETURN_IF_ERROR(bytes.status());
  if (Sha256::Of(*bytes) != context.lease->parameters.value("tokenizer_file_digest", "")) {
    return pipeline::SourceChanged(path, "its SHA-256 differs");
  }
  return pipeline::Tokenizer::FromBytes(*bytes, path, jobs::GivenPattern(context.spec->tokenizer));
}

}  // namespace

absl::StatusOr<json> RunTokenizerTask(const TaskContext& context) {
  json facts = json::object();
  std::vector<std::string> warnings;
  ASSIGN_OR_RETURN(const auto tokenizer, context.spec->tokenizer.path.empty()
                                             ? TrainTokenizer(context, &facts, &warnings)
                                             : ImportTokenizer(context));
  facts["vocab_size"] = tokenizer->vocab_size();
  ASSIGN_OR_RETURN(json result,
                   WriteFileArtifact(context, "tokenizer.json", tokenizer->ToJson(), facts));
  for (const std::string& warning : warnings) AddWarning(warning, &result);
  return result;
}

}  // namespace halcyon::worker
