#include "coordinator/cli/job_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "base/terminal_text.h"
#include "coordinator/run_job.h"
#include "jobs/spec_keys.h"

namespace halcyon::coordinator {
namespace {

// With so many documents, the default share that is held out is more than one.
constexpr size_t kDocumentsMin = 100;

// Of which jobs a line is.
enum class Of { kAll, kText, kTextOrJsonl, kIds, kLearned, kImported };

struct TemplateLine {
  std::string_view path;     // of a key; "" for a line of its own
  std::string_view comment;  // after the key, or the line itself
  Of of = Of::kAll;
};

constexpr TemplateLine kLines[] = {
    {"",
     "# Run it with: halcyon run job.toml      What is written here are the defaults; every key "
     "is"},
    {"", "# explained in docs/job_spec.md. Stop it at any time: the same command goes on."},
    {"name", ""},
    {"", "[data]"},
    {"data.sources", "file names count from this file's folder"},
    {"data.format", "text, or jsonl: one JSON object a line, its member \"text\" a document",
     Of::kTextOrJsonl},
    {"data.format", "ids of the vocabulary below", Of::kIds},
    {"data.documents", "text falls into documents by: file, lines, paragraphs, entries", Of::kText},
    {"data.token_type", "how ids are stored in files that do not say it", Of::kIds},
    {"data.end_of_document", "ends a document and is no part of it; -1: a file is one", Of::kIds},
    {"data.heldout", "share of the documents that is kept for the evaluation"},
    {"", "# A vocabulary of this size is learned from the text. Small ones suit small models.",
     Of::kLearned},
    {"", "[tokenizer]"},
    {"tokenizer.vocab_size", "", Of::kLearned},
    {"tokenizer.path", "", Of::kImported},
    {"tokenizer.pattern", "of a file of ranks; \"gpt2\" leaves it to the file", Of::kImported},
    {"",
     "# Turns chunk_size tokens into one latent and back. Below 95 % of tokens given back, raise "
     "steps."},
    {"", "[autoencoder]"},
    {"autoencoder.chunk_size", ""},
    {"autoencoder.latent_size", ""},
    {"autoencoder.hidden_size", ""},
    {"autoencoder.intermediate_size", ""},
    {"", "[autoencoder.train]"},
    {"autoencoder.train.steps", ""},
    {"", "# Predicts the next latent. preset = \"calm-s\" and \"calm-m\" are the paper's sizes."},
    {"", "[model]"},
    {"model.hidden_size", ""},
    {"model.intermediate_size", ""},
    {"model.layers", ""},
    {"model.attention_heads", ""},
    {"model.window_chunks", "chunks that are read at once"},
    {"", "[train]"},
    {"train.steps", "the first thing to raise for a better model"},
    {"train.batch", "windows a step"},
    {"train.learning_rate", ""},
    {"", "[eval]"},
    {"eval.every", "steps between looks at the held-out text; 0: only at the end"},
    {"", "[launch]"},
    {"launch.ranks", "training processes: as many as there are processors, at most train.batch"},
};

bool IsSection(std::string_view line) { return line[0] == '['; }
bool IsComment(std::string_view line) { return line[0] == '#'; }

bool Has(const JobTemplate& job, Of of) {
  switch (of) {
    case Of::kAll:
      return true;
    case Of::kText:
      return job.format == jobs::DataFormat::kText;
    case Of::kTextOrJsonl:
      return job.format != jobs::DataFormat::kTokens;
    case Of::kIds:
      return job.format == jobs::DataFormat::kTokens;
    case Of::kLearned:
      return job.tokenizer.path.empty();
    case Of::kImported:
      return !job.tokenizer.path.empty();
  }
  return false;
}

}  // namespace

std::string JobNameFrom(const std::string& folder) {
  constexpr size_t kLengthMax = 100;
  std::string name;
  for (const char c : folder) {
    const bool allowed = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.';
    if (allowed) {
      name += c;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  name.erase(0, name.find_first_not_of(".-"));
  name.resize(std::min(name.size(), kLengthMax));
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name.empty() ? "my-job" : name;
}

jobs::DocumentRule GuessDocuments(size_t sources, std::string_view beginning) {
  if (sources >= kDocumentsMin) return jobs::DocumentRule::kFile;
  size_t lines = 0, paragraphs = 0;
  bool within = false;  // a paragraph
  while (!beginning.empty()) {
    const size_t end = std::min(beginning.find('\n'), beginning.size() - 1);
    const std::string_view line = beginning.substr(0, end);
    const bool blank = line.find_first_not_of(" \t\r\n") == std::string_view::npos;
    lines += blank ? 0 : 1;
    paragraphs += !blank && !within ? 1 : 0;
    within = !blank;
    beginning.remove_prefix(end + 1);
  }
  if (paragraphs >= kDocumentsMin) return jobs::DocumentRule::kParagraphs;
  return lines >= kDocumentsMin ? jobs::DocumentRule::kLines : jobs::DocumentRule::kFile;
}

std::string JobFileText(const JobTemplate& job) {
  jobs::JobSpec spec;
  spec.name = job.name;
  spec.data.sources = job.sources;
  spec.data.format = job.format;
  spec.data.documents = job.documents;
  spec.data.token_type = job.token_type;
  spec.data.end_of_document = job.end_of_document;
  spec.tokenizer = job.tokenizer;
  spec.launch.ranks = job.ranks;
  std::map<std::string, const jobs::SpecKey*> keys;
  const std::vector<jobs::SpecKey> all = jobs::KeysOf(spec);
  for (const jobs::SpecKey& key : all) keys[key.Path()] = &key;
  std::string text;
  std::string_view before = "#";  // the kind of line that was written last
  for (const TemplateLine& line : kLines) {
    if (!Has(job, line.of)) continue;
    if (line.path.empty()) {
      const bool continues =
          IsComment(before) && (IsSection(line.comment) || IsComment(line.comment));
      text += fmt::format("{}{}\n", continues ? "" : "\n", line.comment);
      before = line.comment;
      continue;
    }
    const jobs::SpecKey& key = *keys.at(std::string(line.path));
    text += fmt::format("{}{} = {}{}{}\n", line.path == "name" ? "\n" : "", key.name,
                        jobs::TomlTextOf(key), line.comment.empty() ? "" : "  # ", line.comment);
    before = "=";
  }
  return text;
}

std::string NameWithin(const std::filesystem::path& folder, const std::string& source) {
  const std::filesystem::path absolute = AbsolutePath(source);
  const auto relative = absolute.lexically_relative(folder);
  const bool below = !relative.empty() && *relative.begin() != "..";
  return below ? relative.string() : absolute.string();
}

absl::Status CheckNoJobFile(Env& env, const std::string& path) {
  if (!env.Exists(path)) return absl::OkStatus();
  return InvalidArgument(path + " is there already: edit it, or choose another folder");
}

absl::StatusOr<jobs::JobSpec> WriteJobFile(Env& env, const JobTemplate& job,
                                           const std::string& path) {
  RETURN_IF_ERROR(CheckNoJobFile(env, path));
  const std::string text = JobFileText(job), folder = DirName(path);
  ASSIGN_OR_RETURN(jobs::JobSpec spec,
                   jobs::ParseJobSpec(text, path, folder, /*check_files=*/true));
  RETURN_IF_ERROR(env.CreateDirs(folder));
  RETURN_IF_ERROR(WriteFileAtomically(env, path, text));
  for (const std::string& warning : jobs::Warnings(spec)) {
    PrintToStandardError("warning: " + warning + "\n");
  }
  return spec;
}

}  // namespace halcyon::coordinator
