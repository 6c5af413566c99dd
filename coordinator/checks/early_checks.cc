#include "coordinator/checks/early_checks.h"

#include <fmt/format.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <thread>

#include "base/file_kind.h"
#include "jobs/given_pattern.h"
#include "jobs/mixture.h"
#include "jobs/source_names.h"
#include "pipeline/samples/packing.h"
#include "pipeline/samples/source_windows.h"
#include "pipeline/sources/document_cutter.h"
#include "pipeline/sources/shard_plan.h"
#include "pipeline/sources/source_text.h"
#include "pipeline/token_files/token_layout.h"
#include "pipeline/tokenizer.h"

namespace halcyon::coordinator {
namespace {

constexpr uint64_t kLookedAtBytes = 1 << 20;
// A text of so many paragraphs is rarely meant to be one document.
constexpr int kParagraphsMany = 20;
// Sources whose beginning is looked at.
constexpr size_t kFilesLookedAtMax = 20;
// An estimate is a lower bound: what takes more than this share of the memory may not fit.
constexpr double kDoubtfulShare = 0.6;

// Paragraphs at the start of a text, kParagraphsMany at most.
int CountParagraphs(std::string_view text) {
  int paragraphs = 0;
  while (paragraphs < kParagraphsMany && !text.empty()) {
    const std::string_view one = pipeline::TakeDocument(jobs::DocumentRule::kParagraphs, &text);
    paragraphs += pipeline::IsBlank(one) ? 0 : 1;
  }
  return paragraphs;
}

std::string AndMore(size_t others, size_t looked_at) {
  return others == 0
             ? ""
             : fmt::format(" (and so are {} more of {} files looked at)", others, looked_at);
}

std::string Title(const jobs::TrainingEstimate& estimate) {
  return "stage " + std::string(jobs::StageName(estimate.kind));
}

std::string SmallerAdvice(jobs::StageKind kind) {
  return kind == jobs::StageKind::kModel
             ? "lower model.hidden_size, model.layers, model.window_chunks or model.samples, or "
               "set "
               "train.micro_batch"
             : "lower autoencoder.hidden_size or tokenizer.vocab_size, or set "
               "autoencoder.train.micro_batch";
}

}  // namespace

std::vector<std::string> SourceWarnings(Env& env, const jobs::DataSpec& data) {
  if (data.format != jobs::DataFormat::kText) return {};
  const std::vector<std::string> files = data.Files();
  const size_t looked_at = std::min(files.size(), kFilesLookedAtMax);
  // Of many files each may well be meant to be a document.
  const bool are_few = files.size() == looked_at && data.documents == jobs::DocumentRule::kFile;
  std::vector<std::string> of_other_kinds, of_many_paragraphs;
  std::string advice;
  for (size_t i = 0; i < looked_at; ++i) {
    const std::string& file = files[i * files.size() / looked_at];  // from all over
    const auto start = pipeline::BeginningOf(env, file, kLookedAtBytes);
    if (!start.ok()) continue;
    if (const auto kind = RecogniseFileKind(*start)) {
      of_other_kinds.push_back(fmt::format("{} is {}", file, kind->name));
      if (advice.empty()) advice = kind->advice;
    }
    if (are_few && CountParagraphs(*start) >= kParagraphsMany) of_many_paragraphs.push_back(file);
  }
  std::vector<std::string> warnings;
  if (!of_other_kinds.empty()) {
    warnings.push_back(fmt::format("{}, whose markup is trained on like the text; {}{}",
                                   of_other_kinds.front(), advice,
                                   AndMore(of_other_kinds.size() - 1, looked_at)));
  }
  if (!of_many_paragraphs.empty()) {
    warnings.push_back(fmt::format(
        "{} is one document of {} paragraphs or more, because data.documents is \"file\"; only "
        "whole documents can be held out for the evaluation, so write documents = \"paragraphs\" "
        "(or \"lines\" or \"entries\") in [data] if it is a collection of texts{}",
        of_many_paragraphs.front(), kParagraphsMany,
        AndMore(of_many_paragraphs.size() - 1, looked_at)));
  }
  return warnings;
}

absl::StatusOr<int64_t> VocabularyOf(const jobs::JobSpec& spec) {
  if (spec.tokenizer.path.empty()) return spec.tokenizer.vocab_size;
  const auto tokenizer =
      pipeline::Tokenizer::Load(spec.tokenizer.path, jobs::GivenPattern(spec.tokenizer));
  if (!tokenizer.ok()) {
    return InvalidArgument("tokenizer.path: " + MessageOf(tokenizer.status()));
  }
  return int64_t{(*tokenizer)->vocab_size()};
}

std::vector<std::string> EstimateLines(const std::vector<jobs::TrainingEstimate>& estimates) {
  std::vector<std::string> lines;
  for (const jobs::TrainingEstimate& estimate : estimates) {
    lines.push_back(fmt::format("{}: {} parameters; takes {} of memory at least, {} of disk",
                                Title(estimate), estimate.parameters,
                                jobs::BytesText(estimate.memory_bytes),
                                jobs::BytesText(estimate.disk_bytes)));
  }
  return lines;
}

absl::Status CheckMemory(const jobs::JobSpec& spec,
                         const std::vector<jobs::TrainingEstimate>& estimates,
                         const MemoryLimit& limit) {
  for (const jobs::TrainingEstimate& estimate : estimates) {
    if (estimate.memory_bytes <= limit.bytes) continue;
    return InvalidArgument(fmt::format(
        "{}: {} parameters and its activations on {} rank(s) take {} of memory at least, the "
        "memory {} is {}; {}",
        Title(estimate), estimate.parameters, spec.launch.ranks,
        jobs::BytesText(estimate.memory_bytes), limit.what, jobs::BytesText(limit.bytes),
        SmallerAdvice(estimate.kind)));
  }
  return absl::OkStatus();
}

std::vector<std::string> MachineWarnings(const jobs::JobSpec& spec,
                                         const std::vector<jobs::TrainingEstimate>& estimates,
                                         const std::optional<MemoryLimit>& limit,
                                         int64_t processors) {
  std::vector<std::string> warnings;
  for (const jobs::TrainingEstimate& estimate : estimates) {
    if (!limit || static_cast<double>(estimate.memory_bytes) <=
                      kDoubtfulShare * static_cast<double>(limit->bytes)) {
      continue;
    }
    warnings.push_back(fmt::format(
        "{} takes {} of memory at least, the memory {} is {}: {}; {}", Title(estimate),
        jobs::BytesText(estimate.memory_bytes), limit->what, jobs::BytesText(limit->bytes),
        estimate.memory_bytes > limit->bytes ? "it does not fit here" : "it may not fit",
        SmallerAdvice(estimate.kind)));
  }
  if (!estimates.empty() && processors > 0 &&
      spec.launch.ranks * spec.launch.threads > processors) {
    warnings.push_back(fmt::format(
        "launch: {} ranks of {} threads share {} processors and wait for each other; lower ranks "
        "or threads",
        spec.launch.ranks, spec.launch.threads, processors));
  }
  return warnings;
}

bool HasFastBFloat16() {
#if defined(__x86_64__)
  constexpr uint32_t kAmxBFloat16 = 1u << 22;    // leaf 7, part 0, edx
  constexpr uint32_t kAvx512BFloat16 = 1u << 5;  // leaf 7, part 1, eax
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  if ((d & kAmxBFloat16) != 0) return true;
  return a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kAvx512BFloat16) != 0;
#else
  return false;
#endif
}

std::vector<std::string> PrecisionWarnings(const jobs::JobSpec& spec,
                                           const std::vector<jobs::StageKind>& stages,
                                           bool has_fast_bfloat16) {
  if (spec.launch.device == jobs::DeviceChoice::kCuda) return {};
  const bool is_portable = spec.launch.arithmetic == jobs::Arithmetic::kPortable;
  if (has_fast_bfloat16 && !is_portable) return {};
  std::vector<std::string> warnings;
  const auto check = [&](jobs::Precision precision, const char* key) {
    if (precision != jobs::Precision::kBFloat16) return;
    warnings.push_back(fmt::format(
        "{} = \"bfloat16\" is several times slower than \"float32\" here, because {}", key,
        has_fast_bfloat16 ? "launch.arithmetic = \"portable\" leaves AVX512_BF16 and AMX unused"
                          : "this machine's processors have neither AVX512_BF16 nor AMX"));
  };
  const auto is_made = [&](jobs::StageKind kind) {
    return std::ranges::find(stages, kind) != stages.end();
  };
  if (is_made(jobs::StageKind::kAutoencoder)) {
    check(spec.autoencoder.train.precision, "autoencoder.train.precision");
  }
  const auto encodes =
      jobs::RecomputesLatents(spec) ? jobs::StageKind::kModel : jobs::StageKind::kLatents;
  if (is_made(encodes)) check(spec.data.encoding_precision, "data.encoding_precision");
  if (is_made(jobs::StageKind::kModel)) check(spec.train.precision, "train.precision");
  return warnings;
}

absl::Status CheckTokenFiles(Env& env, const jobs::DataSpec& data) {
  if (data.format != jobs::DataFormat::kTokens) return absl::OkStatus();
  for (const std::string& file : data.Files()) {
    if (!jobs::IdsOfIndex(file).empty()) continue;
    RETURN_IF_ERROR(pipeline::ReadTokenLayout(env, file, data.token_type).status());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<jobs::StageKind>> StagesToMake(const jobs::JobSpec& spec,
                                                          const std::string& until) {
  ASSIGN_OR_RETURN(auto stages, jobs::StagesUntil(spec, until), "--until");
  return stages;
}

bool HasGang(const std::vector<jobs::StageKind>& stages) {
  return std::ranges::any_of(
      stages, [](jobs::StageKind kind) { return jobs::ShapeOf(kind) == jobs::StageShape::kGang; });
}

absl::StatusOr<std::vector<std::string>> WarningsOf(const jobs::JobSpec& spec,
                                                    const std::vector<jobs::StageKind>& stages,
                                                    const std::optional<MemoryLimit>& limit) {
  ASSIGN_OR_RETURN(const int64_t vocab_size, VocabularyOf(spec));
  RETURN_IF_ERROR(CheckTokenFiles(*Env::Posix(), spec.data));
  std::vector<std::string> warnings = jobs::Warnings(spec);
  std::vector<jobs::TrainingEstimate> estimates = jobs::EstimateTraining(spec, vocab_size);
  std::erase_if(estimates, [&](const jobs::TrainingEstimate& estimate) {
    return std::ranges::find(stages, estimate.kind) == stages.end();
  });
  for (auto& more : {SourceWarnings(*Env::Posix(), spec.data),
                     MachineWarnings(spec, estimates, limit, std::thread::hardware_concurrency()),
                     PrecisionWarnings(spec, stages, HasFastBFloat16())}) {
    warnings.insert(warnings.end(), more.begin(), more.end());
  }
  return warnings;
}

absl::StatusOr<jobs::TextCounts> CountText(const jobs::JobSpec& spec, storage::TokenReader& tokens,
                                           uint32_t heldout_shards) {
  // Which tokens end and fill chunks does not change how many there are.
  const pipeline::PackingRule rule{static_cast<uint32_t>(spec.autoencoder.chunk_size), 0, 0};
  const auto all = pipeline::Packing::Build(&tokens, rule);
  RETURN_IF_ERROR(all.status());
  const std::vector<bool> chosen =
      pipeline::ChooseShards(tokens.shards(), spec.autoencoder.data_fraction, heldout_shards);
  jobs::TextCounts counts;
  uint64_t others = 0;
  for (uint32_t shard = 0; shard < tokens.shards(); ++shard) {
    counts.train_documents += tokens.Documents(shard, storage::Split::kTrain);
    counts.heldout_documents += tokens.Documents(shard, storage::Split::kHeldout);
    const uint64_t chunks = (*all)->ChunksOfShard(shard, storage::Split::kTrain);
    (chosen[shard] ? counts.autoencoder_chunks : others) += chunks;
  }
  counts.heldout_chunks = (*all)->Chunks(storage::Split::kHeldout);
  counts.train_chunks = counts.autoencoder_chunks + others;
  counts.model_chunks = spec.model.skip_autoencoder_data ? others : counts.train_chunks;
  return counts;
}

absl::Status CheckSourceWindows(const jobs::JobSpec& spec, storage::TokenReader& tokens,
                                const nlohmann::json& facts) {
  if (jobs::SharesOf(spec.data).empty()) return absl::OkStatus();
  std::vector<bool> shards;
  if (spec.model.skip_autoencoder_data) {
    shards = pipeline::ChooseShards(tokens.shards(), spec.autoencoder.data_fraction,
                                    pipeline::HeldoutShards(facts));
    shards.flip();
  }
  const pipeline::PackingRule rule{static_cast<uint32_t>(spec.autoencoder.chunk_size), 0, 0};
  ASSIGN_OR_RETURN(const auto packing, pipeline::Packing::Build(&tokens, rule, shards));
  return pipeline::WindowsOfSources(spec.data, pipeline::FileShards::FromFacts(facts), *packing,
                                    static_cast<uint32_t>(spec.model.window_chunks))
      .status();
}

}  // namespace halcyon::coordinator
