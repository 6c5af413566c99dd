#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <string_view>
#include <thread>

#include "base/env.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/job_template.h"
#include "coordinator/run_job.h"
#include "pipeline/sources/source_text.h"

namespace halcyon::coordinator {
namespace {

constexpr uint64_t kBeginningBytes = 1 << 20;

struct InitArguments {
  std::string folder;
  std::vector<std::string> sources;
};

// Also of packed files.
bool HasExtension(std::string_view path, std::string_view extension) {
  for (const std::string_view packed : {".gz", ".zst"}) {
    if (path.ends_with(packed)) path.remove_suffix(packed.size());
  }
  return path.ends_with(extension);
}

bool IsJsonl(const std::string& path) { return HasExtension(path, ".jsonl"); }

// The texts that lie in the folder, by name.
absl::StatusOr<std::vector<std::string>> TextsIn(Env& env, const std::string& folder) {
  std::vector<std::string> texts;
  if (env.Exists(folder)) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, env.ListDir(folder));
    for (const std::string& name : names) {
      if (HasExtension(name, ".txt") || IsJsonl(name)) texts.push_back(JoinPath(folder, name));
    }
  }
  std::sort(texts.begin(), texts.end());
  if (!texts.empty()) return texts;
  return InvalidArgument("no text: name it with --source FILE, or put .txt or .jsonl files into " +
                         folder);
}

absl::StatusOr<JobTemplate> TemplateFor(Env& env, const InitArguments& arguments) {
  std::vector<std::string> sources = arguments.sources;
  if (sources.empty()) {
    ASSIGN_OR_RETURN(sources, TextsIn(env, arguments.folder));
  }
  const auto jsonl = std::count_if(sources.begin(), sources.end(), IsJsonl);
  if (jsonl != 0 && jsonl != static_cast<int64_t>(sources.size())) {
    return InvalidArgument(
        "a job reads either text or .jsonl files: name those of one kind with --source");
  }
  const std::filesystem::path folder = AbsolutePath(arguments.folder);
  JobTemplate job;
  const auto last = folder.has_filename() ? folder.filename() : folder.parent_path().filename();
  job.name = JobNameFrom(last.string());
  job.format = jsonl != 0 ? jobs::DataFormat::kJsonl : jobs::DataFormat::kText;
  if (jsonl == 0) {
    ASSIGN_OR_RETURN(const std::string beginning,
                     pipeline::BeginningOf(env, sources[0], kBeginningBytes));
    job.documents = GuessDocuments(sources.size(), beginning);
  }
  for (const std::string& source : sources) job.sources.push_back(NameWithin(folder, source));
  const int64_t processors = std::max(1u, std::thread::hardware_concurrency());
  job.ranks = std::min(processors, jobs::TrainSpec().batch);
  return job;
}

absl::Status Init(const InitArguments& arguments) {
  Env& env = *Env::Posix();
  const std::string path = JoinPath(arguments.folder, "job.toml");
  ASSIGN_OR_RETURN(const JobTemplate job, TemplateFor(env, arguments));
  RETURN_IF_ERROR(WriteJobFile(env, job, path).status());
  PrintText(fmt::format("{}: written, for {} source file(s); next:\n  halcyon run {}\n", path,
                        job.sources.size(), path));
  return absl::OkStatus();
}

}  // namespace

void AddInit(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<InitArguments>();
  CLI::App* command = app.add_subcommand(
      "init", "Write DIR/job.toml, a commented job for your own text; never over another");
  command->add_option("dir", arguments->folder, "The job's folder; made when it is missing")
      ->required();
  command->add_option("--source", arguments->sources, "Text or .jsonl files")
      ->default_str("those in DIR");
  command->callback([=] { line->chosen = [=] { return Init(*arguments); }; });
}

}  // namespace halcyon::coordinator
