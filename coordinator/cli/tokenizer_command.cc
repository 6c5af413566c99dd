#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <thread>

#include "base/clock.h"
#include "base/file_kind.h"
#include "base/output_file.h"
#include "base/terminal_text.h"
#include "coordinator/cli/choice_option.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/number_check.h"
#include "coordinator/cli/text_encoding.h"
#include "coordinator/run_job.h"
#include "jobs/source_names.h"
#include "pipeline/npy.h"
#include "pipeline/sources/document_reader.h"
#include "pipeline/sources/shard_plan.h"
#include "pipeline/sources/source_text.h"
#include "pipeline/token_files/stored_ids.h"
#include "pipeline/tokenizer.h"
#include "storage/artifact_reader.h"

namespace halcyon::coordinator {
namespace {

// As `tokenizer.vocab_size`, `launch.threads` and `tokenizer.words_bytes_max` of a job file.
constexpr int64_t kVocabSizeMin = 259, kVocabSizeMax = 1 << 20, kThreadsMax = 1024;
constexpr int64_t kWordsBytesMin = 1 << 20, kWordsBytesMax = int64_t{1} << 40;

const Choices<jobs::DataFormat> kFormats = {{"text", jobs::DataFormat::kText},
                                            {"jsonl", jobs::DataFormat::kJsonl}};
const Choices<jobs::DocumentRule> kRules = {{"file", jobs::DocumentRule::kFile},
                                            {"lines", jobs::DocumentRule::kLines},
                                            {"paragraphs", jobs::DocumentRule::kParagraphs},
                                            {"entries", jobs::DocumentRule::kEntries}};
const Choices<std::string> kPatterns = {
    {"gpt2", "gpt2"}, {"llama3", "llama3"}, {"cl100k", "cl100k"}, {"o200k", "o200k"}};

// A file of another kind would be read as meaningless text.
absl::Status CheckIsText(const std::string& path, jobs::DataFormat format) {
  ASSIGN_OR_RETURN(const auto kind, RecogniseFileKind(*Env::Posix(), path));
  if (!kind || jobs::MayBeSource(*kind, format)) return absl::OkStatus();
  return InvalidArgument(fmt::format("{} is {}; {}", path, kind->name, kind->advice));
}

struct TrainArguments {
  jobs::DataSpec data;
  pipeline::BpeTrainingOptions bpe;
  std::string output;
  bool json = false;
};

absl::Status Train(TrainArguments arguments) {
  for (std::string& source : arguments.data.sources) source = AbsolutePath(source);
  ASSIGN_OR_RETURN(const auto trainer, pipeline::BpeTrainer::Create(arguments.bpe));
  for (const std::string& source : arguments.data.sources) {
    RETURN_IF_ERROR(CheckIsText(source, arguments.data.format));
  }
  ASSIGN_OR_RETURN(const pipeline::ShardPlan plan, pipeline::PlanShards(arguments.data));
  uint64_t documents = 0, bytes = 0;
  for (const pipeline::SourceRange& range : pipeline::RangesOf(plan)) {
    ASSIGN_OR_RETURN(const pipeline::ReadCounts counts,
                     pipeline::ReadDocuments(arguments.data, range, [&](std::string_view text) {
                       trainer->Add(text);
                       return absl::OkStatus();
                     }));
    documents += counts.documents;
    bytes += counts.bytes;
  }
  ASSIGN_OR_RETURN(const auto tokenizer, trainer->Train());
  const pipeline::DroppedWords dropped = trainer->dropped();
  if (dropped.words > 0) {
    PrintToStandardError("warning: " + pipeline::WarningOf(dropped) + "\n");
  }
  RETURN_IF_ERROR(WriteOutputFile(arguments.output, tokenizer->ToJson()));
  if (arguments.json) {
    nlohmann::json result = {{"output", arguments.output},
                             {"vocab_size", tokenizer->vocab_size()},
                             {"documents", documents},
                             {"bytes", bytes}};
    result.update(nlohmann::json(pipeline::FactsOf(dropped)));
    PrintJson(result);
  } else {
    PrintText(fmt::format("{}: {} tokens, learnt from {} documents, {}\n", arguments.output,
                          tokenizer->vocab_size(), documents, FormatBytes(bytes)));
  }
  return absl::OkStatus();
}

struct EncodeArguments {
  std::string tokenizer, pattern, input, output, counts;
  jobs::DataFormat format = jobs::DataFormat::kText;
  std::string field = "text";
  int64_t threads = 0;
  bool json = false;
};

absl::Status Encode(const EncodeArguments& arguments) {
  RETURN_IF_ERROR(storage::VerifyBesideRecord(*Env::Posix(), arguments.tokenizer));
  ASSIGN_OR_RETURN(const auto tokenizer,
                   pipeline::Tokenizer::Load(arguments.tokenizer, arguments.pattern));
  RETURN_IF_ERROR(CheckIsText(arguments.input, arguments.format));
  ASSIGN_OR_RETURN(const std::string bytes, pipeline::WholeText(*Env::Posix(), arguments.input));
  const int64_t threads =
      arguments.threads > 0 ? arguments.threads : std::max(1u, std::thread::hardware_concurrency());
  const int64_t start_ms = Clock::Real()->MonotonicMs();
  ASSIGN_OR_RETURN(
      const EncodedText encoded,
      EncodeText(tokenizer, bytes, arguments.format, arguments.field, arguments.input, threads));
  const double seconds = static_cast<double>(Clock::Real()->MonotonicMs() - start_ms) / 1000;
  RETURN_IF_ERROR(pipeline::WriteNpy(arguments.output, encoded.ids));
  if (!arguments.counts.empty()) {
    RETURN_IF_ERROR(pipeline::WriteNpy(arguments.counts, encoded.counts));
  }
  if (arguments.json) {
    PrintJson({{"output", arguments.output},
               {"documents", encoded.counts.size()},
               {"tokens", encoded.ids.size()},
               {"bytes", bytes.size()},
               {"invalid_utf8", encoded.invalid_utf8},
               {"seconds", seconds}});
    return absl::OkStatus();
  }
  PrintText(fmt::format("{}: {} tokens of {} documents, {}\n", arguments.output, encoded.ids.size(),
                        encoded.counts.size(), FormatBytes(bytes.size())));
  if (encoded.invalid_utf8 > 0) {
    PrintText(fmt::format("{} invalid UTF-8 sequences replaced by U+FFFD\n", encoded.invalid_utf8));
  }
  return absl::OkStatus();
}

struct DecodeArguments {
  std::string tokenizer, pattern, input, output;
};

absl::Status Decode(const DecodeArguments& arguments) {
  RETURN_IF_ERROR(storage::VerifyBesideRecord(*Env::Posix(), arguments.tokenizer));
  ASSIGN_OR_RETURN(const auto tokenizer,
                   pipeline::Tokenizer::Load(arguments.tokenizer, arguments.pattern));
  ASSIGN_OR_RETURN(const std::vector<uint32_t> ids,
                   pipeline::ReadIds(*Env::Posix(), arguments.input, tokenizer->vocab_size()));
  ASSIGN_OR_RETURN(const std::string bytes, tokenizer->Decode(ids, /*keep_special=*/true),
                   arguments.input);
  if (!arguments.output.empty()) {
    return WriteOutputFile(arguments.output, bytes);
  }
  PrintText(bytes);
  return absl::OkStatus();
}

void AddTrain(CLI::App* tokenizer, CommandLine* line) {
  const auto arguments = std::make_shared<TrainArguments>();
  CLI::App* train = tokenizer->add_subcommand("train", "Learn a byte-level BPE vocabulary");
  train->add_option("--input", arguments->data.sources, "Text to learn from, one or more files")
      ->default_str("")
      ->required();
  AddChoice(train, "--format", &arguments->data.format, kFormats, "What a file holds");
  AddChoice(train, "--documents", &arguments->data.documents, kRules,
            "How text falls into documents");
  train->add_option("--field", arguments->data.field, "Member of a JSON line that is the text");
  train->add_option("--vocab-size", arguments->bpe.vocab_size, "Tokens, special ones included")
      ->check(WholeNumber(kVocabSizeMin, kVocabSizeMax));
  AddChoice(train, "--pattern", &arguments->bpe.pattern, kPatterns,
            "How text is split before merging");
  train
      ->add_option("--words-bytes-max", arguments->bpe.words_bytes_max,
                   "Memory for the different words; beyond it the rarest are left out")
      ->check(WholeNumber(kWordsBytesMin, kWordsBytesMax));
  train->add_option("--threads", arguments->bpe.threads, "One a processor by default")
      ->check(WholeNumber(0, kThreadsMax));
  train->add_option("--output", arguments->output, "The tokenizer.json to write")->required();
  train->add_flag("--json", arguments->json, "Print what was done as JSON");
  train->callback([=] { line->chosen = [=] { return Train(*arguments); }; });
}

void AddTokenizerOptions(CLI::App* command, std::string* path, std::string* pattern) {
  command
      ->add_option("--tokenizer", *path,
                   "A tokenizer.json, a rank file of tiktoken or a model of SentencePiece")
      ->required();
  command->add_option("--pattern", *pattern,
                      "How text is split, for ranks: gpt2, cl100k_base, o200k_base, llama3 or a "
                      "regular expression; in place of the file's own for byte-level BPE");
}

void AddEncode(CLI::App* tokenizer, CommandLine* line) {
  const auto arguments = std::make_shared<EncodeArguments>();
  CLI::App* encode = tokenizer->add_subcommand(
      "encode",
      "Turn text into ids: documents in order, nothing added; special tokens are plain text");
  AddTokenizerOptions(encode, &arguments->tokenizer, &arguments->pattern);
  encode->add_option("--input", arguments->input, "The text")->required();
  AddChoice(encode, "--format", &arguments->format, kFormats,
            "text: the file is one document; jsonl: each line is one");
  encode->add_option("--field", arguments->field, "Member of a JSON line that is the text");
  encode->add_option("--output", arguments->output, "The ids: a uint32 .npy")->required();
  encode->add_option("--counts", arguments->counts, "Ids of each document: a uint32 .npy");
  encode->add_option("--threads", arguments->threads, "One a processor by default")
      ->check(WholeNumber(0, kThreadsMax));
  encode->add_flag("--json", arguments->json, "Print what was done as JSON");
  encode->callback([=] { line->chosen = [=] { return Encode(*arguments); }; });
}

void AddDecode(CLI::App* tokenizer, CommandLine* line) {
  const auto arguments = std::make_shared<DecodeArguments>();
  CLI::App* decode =
      tokenizer->add_subcommand("decode", "Turn ids back into the bytes of the text");
  AddTokenizerOptions(decode, &arguments->tokenizer, &arguments->pattern);
  decode
      ->add_option("--input", arguments->input,
                   "The ids: a .npy of one dimension of integers of 2, 4 or 8 bytes")
      ->required();
  decode->add_option("--output", arguments->output, "File to write; standard output by default");
  decode->callback([=] { line->chosen = [=] { return Decode(*arguments); }; });
}

}  // namespace

void AddTokenizer(CLI::App& app, CommandLine* line) {
  CLI::App* tokenizer = app.add_subcommand("tokenizer", "Train byte-level BPE tokenizers; use any");
  tokenizer->require_subcommand(1);
  AddTrain(tokenizer, line);
  AddEncode(tokenizer, line);
  AddDecode(tokenizer, line);
}

}  // namespace halcyon::coordinator
