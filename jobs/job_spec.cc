#include "jobs/job_spec.h"

#include <fmt/format.h>

#include "base/env.h"
#include "jobs/presets.h"
#include "jobs/spec_checks.h"
#include "jobs/spec_errors.h"
#include "jobs/spec_keys.h"
#include "jobs/spec_overrides.h"
#include "jobs/spec_reader.h"

namespace halcyon::jobs {
namespace {

// The standard deviation's default depends on the rule, and that on the width.
void ResolveInit(const SpecLines& lines, JobSpec& spec) {
  const auto resolve = [&](const char* std_path, int64_t width, InitRule* rule, double* init_std) {
    *rule = InitRuleAt(*rule, width);
    if (*rule == InitRule::kNormal && !lines.Has(std_path)) *init_std = kPaperInitStd;
  };
  resolve("autoencoder.init_std", spec.autoencoder.hidden_size, &spec.autoencoder.init,
          &spec.autoencoder.init_std);
  resolve("model.init_std", spec.model.hidden_size, &spec.model.init, &spec.model.init_std);
}

absl::StatusOr<JobSpec> Parse(std::string_view toml, const std::string& file_name,
                              const std::string& base_dir, bool check_files,
                              const std::vector<SpecOverride>& overrides) {
  JobSpec spec;
  const std::vector<SpecKey> keys = KeysOf(spec);
  // Presets give defaults, so they must be known before anything else is read.
  SpecErrors unreported(file_name);
  SpecLines unused = ReadSpecToml(toml, keys, unreported);
  ReadOverrides(overrides, keys, &unused, unreported);
  JobSpec defaults;
  defaults.autoencoder.preset = spec.autoencoder.preset;
  defaults.model.preset = spec.model.preset;
  ApplyPresets(defaults);
  spec = defaults;
  SpecErrors errors(file_name);
  SpecLines lines = ReadSpecToml(toml, keys, errors);
  ReadOverrides(overrides, keys, &lines, errors);
  // After a syntax error nothing is known about the rest of the file.
  if (errors.Has(kSyntaxPath)) return errors.ToStatus();
  ResolveInit(lines, spec);

  CheckSpec(keys, lines, spec, errors);
  ResolveFiles(base_dir, check_files, lines, &spec, errors);
  RETURN_IF_ERROR(errors.ToStatus());
  return spec;
}

}  // namespace

InitRule InitRuleAt(InitRule rule, int64_t width) {
  constexpr int64_t kNormalWidthMin = 512;
  if (rule != InitRule::kAuto) return rule;
  return width < kNormalWidthMin ? InitRule::kFanIn : InitRule::kNormal;
}

namespace {

bool ReadsBack(const JobSpec& spec) {
  return ParseJobSpec(ToToml(spec), "", "/", /*check_files=*/false).ok();
}

std::string PathThatDoesNotReadBack(const JobSpec& spec) {
  std::vector<std::string> paths = spec.data.Files();
  paths.push_back(spec.tokenizer.path);
  for (const std::string& path : paths) {
    JobSpec one;
    one.name = spec.name;
    one.data.sources = {path.empty() ? "/" : path};
    if (!ReadsBack(one)) return "the path " + Quoted(path);
  }
  return "the path of a file that it names";
}

}  // namespace

absl::StatusOr<JobSpec> LoadJobSpec(const std::string& path) { return LoadJobSpec(path, {}); }

absl::StatusOr<JobSpec> LoadJobSpec(const std::string& path,
                                    const std::vector<SpecOverride>& overrides) {
  absl::StatusOr<std::string> text = Env::Posix()->ReadFile(path);
  if (!text.ok()) {
    const std::string message = MessageOf(text.status()) + "; give the name of a job file";
    return absl::IsNotFound(text.status()) ? NotFound(message) : InvalidArgument(message);
  }
  ASSIGN_OR_RETURN(JobSpec spec,
                   Parse(*text, path, DirName(path), /*check_files=*/true, overrides));
  // Workers read the resolved file. A name that is not UTF-8, or has a control character, cannot
  // stand in one.
  if (!ReadsBack(spec)) {
    return InvalidArgument(path + ": " + PathThatDoesNotReadBack(spec) +
                           " is not UTF-8 or has a control character; rename the file or folder");
  }
  return spec;
}

absl::StatusOr<JobSpec> ParseJobSpec(std::string_view toml, const std::string& file_name,
                                     const std::string& base_dir, bool check_files) {
  return Parse(toml, file_name, base_dir, check_files, {});
}

std::vector<std::string> DataSpec::Files() const {
  std::vector<std::string> files = sources;
  for (const SourceSpec& one : source) {
    files.insert(files.end(), one.paths.begin(), one.paths.end());
  }
  files.insert(files.end(), heldout_sources.begin(), heldout_sources.end());
  return files;
}

std::vector<std::string> Warnings(const JobSpec& spec) {
  std::vector<std::string> warnings;
  if (spec.model.alpha == 2) {
    warnings.push_back(
        "model.alpha: with 2.0 the energy score is not strictly proper: it compares means only, "
        "and a model that always predicts the mean is optimal; choose a value below 2.0");
  }
  return warnings;
}

std::string ToToml(const JobSpec& spec) {
  JobSpec copy = spec;  // the key table holds pointers into the spec
  std::string toml, section;
  for (const SpecKey& key : KeysOf(copy)) {
    if (key.Path() == (spec.data.source.empty() ? "data.source" : "data.sources")) continue;
    if (key.section != section) {
      section = key.section;
      toml += fmt::format("\n[{}]\n", section);
    }
    toml += fmt::format("{} = {}\n", key.name, TomlTextOf(key));
  }
  return toml;
}

}  // namespace halcyon::jobs
