#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <thread>

#include "base/terminal_text.h"
#include "coordinator/checks/token_file_check.h"
#include "coordinator/cli/choice_option.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/job_template.h"
#include "coordinator/display/progress_format.h"
#include "coordinator/run_job.h"
#include "storage/artifact_reader.h"

namespace halcyon::coordinator {
namespace {

const Choices<jobs::TokenType> kTokenTypes = {{"auto", jobs::TokenType::kAuto},
                                              {"uint16", jobs::TokenType::kUint16},
                                              {"uint32", jobs::TokenType::kUint32}};

struct ImportTokensArguments {
  std::vector<std::string> files;
  std::string tokenizer, pattern, end_of_document, output;
  jobs::TokenType token_type = jobs::TokenType::kAuto;
  bool json = false;
};

// -1: none.
absl::StatusOr<int64_t> EndOfDocument(const std::string& word,
                                      const pipeline::Tokenizer& tokenizer) {
  if (word.empty()) return int64_t{tokenizer.end_of_text()};
  if (word == "none") return -1;
  uint32_t id = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
  if (error == std::errc() && end == word.data() + word.size()) return int64_t{id};
  return InvalidArgument("--end-of-document: \"" + word + "\" is neither an id nor \"none\"");
}

// Before files are read, which may take long. A job file in a folder that is a source would be read
// as one.
absl::Status CheckOutput(const ImportTokensArguments& arguments) {
  if (arguments.output.empty()) return absl::OkStatus();
  const std::string output = AbsolutePath(arguments.output);
  RETURN_IF_ERROR(CheckNoJobFile(*Env::Posix(), output));
  for (const std::string& file : arguments.files) {
    const std::string folder = AbsolutePath(file);
    if (!std::filesystem::is_directory(folder) || !output.starts_with(JoinPath(folder, ""))) {
      continue;
    }
    return InvalidArgument("--output: " + output +
                           " would be one of the sources, which are all files in " + folder +
                           "; write it elsewhere");
  }
  return absl::OkStatus();
}

absl::StatusOr<JobTemplate> JobFor(const ImportTokensArguments& arguments,
                                   const pipeline::Tokenizer& tokenizer) {
  const std::filesystem::path folder = DirName(AbsolutePath(arguments.output));
  const auto named = [&](const std::string& file) {
    return arguments.output.empty() ? AbsolutePath(file) : NameWithin(folder, file);
  };
  JobTemplate job;
  job.name = JobNameFrom(folder.filename().string());
  for (const std::string& file : arguments.files) job.sources.push_back(named(file));
  job.format = jobs::DataFormat::kTokens;
  job.token_type = arguments.token_type;
  ASSIGN_OR_RETURN(job.end_of_document, EndOfDocument(arguments.end_of_document, tokenizer));
  job.tokenizer.path = named(arguments.tokenizer);
  if (!arguments.pattern.empty()) job.tokenizer.pattern = arguments.pattern;
  const int64_t processors = std::max(1u, std::thread::hardware_concurrency());
  job.ranks = std::min(processors, jobs::TrainSpec().batch);
  return job;
}

nlohmann::json FiguresJson(const TokenFileFigures& figures) {
  return {{"path", figures.path},           {"kind", figures.kind},
          {"documents", figures.documents}, {"tokens", figures.tokens},
          {"beginning", figures.beginning}, {"documents_encoded_again", figures.tried},
          {"same_ids", figures.same},       {"warnings", figures.warnings}};
}

void PrintFigures(const TokenFileFigures& figures) {
  PrintText(fmt::format("{}: {}, {} document{}, {} tokens\n", figures.path, figures.kind,
                        FormatCount(static_cast<double>(figures.documents)),
                        figures.documents == 1 ? "" : "s",
                        FormatCount(static_cast<double>(figures.tokens))));
  if (figures.documents == 0) return;
  PrintText("  begins with " + nlohmann::json(figures.beginning).dump() + "\n");
  if (figures.tried == 0) return;
  PrintText(fmt::format("  {} of the first {} documents are encoded to the same ids\n",
                        figures.same, figures.tried));
}

absl::Status ImportTokens(const ImportTokensArguments& arguments) {
  Env& env = *Env::Posix();
  RETURN_IF_ERROR(CheckOutput(arguments));
  RETURN_IF_ERROR(storage::VerifyBesideRecord(env, arguments.tokenizer));
  ASSIGN_OR_RETURN(const auto tokenizer,
                   pipeline::Tokenizer::Load(arguments.tokenizer, arguments.pattern));
  ASSIGN_OR_RETURN(const JobTemplate job, JobFor(arguments, *tokenizer));
  const std::string where = arguments.output.empty() ? "the files" : arguments.output;
  ASSIGN_OR_RETURN(const jobs::JobSpec spec,
                   jobs::ParseJobSpec(JobFileText(job), where, DirName(AbsolutePath(where)),
                                      /*check_files=*/true));
  ASSIGN_OR_RETURN(const std::vector<TokenFileFigures> files,
                   ReadTokenFiles(env, spec.data, tokenizer));
  if (!arguments.output.empty()) {
    RETURN_IF_ERROR(WriteJobFile(env, job, AbsolutePath(arguments.output)).status());
  }
  nlohmann::json list = nlohmann::json::array();
  for (const TokenFileFigures& figures : files) {
    list.push_back(FiguresJson(figures));
    if (arguments.json) continue;
    PrintFigures(figures);
    for (const std::string& warning : figures.warnings) {
      PrintToStandardError("warning: " + warning + "\n");
    }
  }
  if (arguments.json) {
    PrintJson({{"files", list},
               {"end_of_document", job.end_of_document},
               {"vocab_size", tokenizer->vocab_size()},
               {"job_file", arguments.output}});
  } else if (!arguments.output.empty()) {
    PrintText(
        fmt::format("{}: written; next:\n  halcyon run {}\n", arguments.output, arguments.output));
  } else {
    PrintText(
        "every id is one of the vocabulary; --output JOB.toml writes a job that trains on "
        "them\n");
  }
  return absl::OkStatus();
}

}  // namespace

void AddCacheImportTokens(CLI::App* cache, CommandLine* line) {
  const auto arguments = std::make_shared<ImportTokensArguments>();
  CLI::App* command = cache->add_subcommand(
      "import-tokens", "Check ids that another program made, and write a job that trains on them");
  command
      ->add_option("files", arguments->files,
                   "NumPy arrays, files of nanoGPT or llm.c, or of Megatron (.bin with .idx); "
                   "folders and patterns of such")
      ->required();
  command->add_option("--tokenizer", arguments->tokenizer, "The tokenizer that made the ids")
      ->required();
  command->add_option("--pattern", arguments->pattern, "For a file of ranks, as tokenizer.pattern");
  command
      ->add_option("--end-of-document", arguments->end_of_document,
                   "The id that ends a document, or none")
      ->default_str("the tokenizer's own");
  AddChoice(command, "--token-type", &arguments->token_type, kTokenTypes,
            "How ids are stored in files without header");
  command->add_option("--output", arguments->output, "The job file to write; never over another");
  command->add_flag("--json", arguments->json, "Print as JSON");
  command->callback([=] { line->chosen = [=] { return ImportTokens(*arguments); }; });
}

}  // namespace halcyon::coordinator
