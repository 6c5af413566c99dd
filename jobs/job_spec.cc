#include "jobs/job_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <set>
#include <system_error>

#include "base/env.h"
#include "jobs/spec_errors.h"
#include "jobs/spec_keys.h"
#include "jobs/spec_reader.h"

namespace halcyon::jobs {
namespace {

// Checks that a key table cannot express, and file names made absolute.
class Checker {
 public:
  Checker(JobSpec& spec, const SpecLines& lines, SpecErrors& errors)
      : spec_(spec), lines_(lines), errors_(errors) {}

  void CheckRequired(const std::vector<SpecKey>& keys) {
    for (const SpecKey& key : keys) {
      if (!key.required() || lines_.Has(key.Path()) || errors_.Has(key.section)) continue;
      errors_.Add(lines_.Of(key.Path()), key.Path(),
                  fmt::format("missing; write {}{} = {}",
                              key.section.empty() ? "" : "in [" + key.section + "] ", key.name,
                              key.example));
    }
  }

  void CheckName() {
    constexpr size_t kNameLengthMax = 100;
    const auto allowed = [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
    };
    const std::string& name = spec_.name;
    const bool good = !name.empty() && name.size() <= kNameLengthMax && name[0] != '.' &&
                      name[0] != '-' && std::all_of(name.begin(), name.end(), allowed);
    if (good) return;
    Refuse({"name"}, fmt::format("{} does not serve as a folder's name; use 1 to {} of the letters "
                                 "a-z and A-Z, digits, '-', '_' and '.', not '-' or '.' first",
                                 Quoted(name), kNameLengthMax));
  }

  // A setting that is written but has no effect is a misunderstanding, so it is refused.
  void CheckData() {
    const DataSpec defaults;
    const bool is_text = spec_.data.format == DataFormat::kText;
    if (!is_text && spec_.data.documents != defaults.documents) {
      Refuse({"data.documents", "data.format"},
             "has no effect with format = \"jsonl\", where each line is a document; remove it");
    }
    if (is_text && spec_.data.field != defaults.field) {
      Refuse({"data.field", "data.format"},
             "has no effect with format = \"text\"; remove it, or write format = \"jsonl\"");
    }
    if (spec_.data.field.empty()) {
      Refuse({"data.field"}, "is empty; name the member that holds the text");
    }
  }

  void CheckTokenizer() {
    if (spec_.tokenizer.path.empty()) return;
    const TokenizerSpec defaults;
    const std::string advice = "has no effect with tokenizer.path, whose file decides; remove it";
    if (spec_.tokenizer.vocab_size != defaults.vocab_size) {
      Refuse({"tokenizer.vocab_size", "tokenizer.path"}, advice);
    }
    if (spec_.tokenizer.pattern != defaults.pattern) {
      Refuse({"tokenizer.pattern", "tokenizer.path"}, advice);
    }
    if (spec_.tokenizer.train_bytes_max != defaults.train_bytes_max) {
      Refuse({"tokenizer.train_bytes_max", "tokenizer.path"}, advice);
    }
  }

  void CheckTrain(const std::string& section, const TrainSpec& train) {
    if (train.warmup_steps > train.steps) {
      Refuse({section + ".warmup_steps", section + ".steps"},
             fmt::format("{} is more than steps = {}; write warmup_steps = {} or less",
                         train.warmup_steps, train.steps, train.steps));
    }
    if (train.micro_batch > train.batch) {
      Refuse({section + ".micro_batch", section + ".batch"},
             fmt::format("{} is more than batch = {}; write micro_batch = {} or less, or 0",
                         train.micro_batch, train.batch, train.batch));
    }
  }

  void CheckAutoencoder() {
    const AutoencoderSpec& autoencoder = spec_.autoencoder;
    if (!autoencoder.variational && (autoencoder.kl_weight != 0 || autoencoder.kl_clamp != 0)) {
      Refuse({"autoencoder.variational", "autoencoder.kl_weight", "autoencoder.kl_clamp"},
             "without it there is no divergence to weigh; write kl_weight = 0 and kl_clamp = 0, or "
             "preset = \"plain-10\"");
    }
  }

  void CheckModel() {
    const int64_t hidden = spec_.model.hidden_size, heads = spec_.model.attention_heads;
    if (hidden % (2 * heads) != 0) {
      Refuse({"model.hidden_size", "model.attention_heads"},
             fmt::format("{} does not fall into {} attention heads of an even size, which rotary "
                         "embeddings need; choose a multiple of {}",
                         hidden, heads, 2 * heads));
    }
    // Four tokens behind the first chunk are what BrierLM scores.
    const int64_t chunk_size = spec_.autoencoder.chunk_size, scored = 4;
    if ((spec_.model.window_chunks - 1) * chunk_size < scored) {
      Refuse({"model.window_chunks", "autoencoder.chunk_size"},
             fmt::format("{} chunks of {} leave no {} tokens behind the first chunk to score; "
                         "choose {} or more",
                         spec_.model.window_chunks, chunk_size, scored,
                         1 + (scored + chunk_size - 1) / chunk_size));
    }
    const int64_t shared = spec_.model.key_value_heads;
    if (shared != 0 && heads % shared != 0) {
      Refuse({"model.key_value_heads", "model.attention_heads"},
             fmt::format("{} does not divide attention_heads = {}; choose a divisor, or 0", shared,
                         heads));
    }
    if (spec_.model.skip_autoencoder_data && spec_.autoencoder.data_fraction == 1) {
      Refuse({"model.skip_autoencoder_data", "autoencoder.data_fraction"},
             "leaves nothing to train on while the autoencoder takes all shards; lower "
             "autoencoder.data_fraction");
    }
  }

  // Settings of one head that say nothing to another.
  void CheckHead(const std::vector<SpecKey>& keys) {
    struct Setting {
      std::string_view path;
      std::vector<HeadKind> heads;
    };
    constexpr HeadKind kEnergy = HeadKind::kEnergy, kFlow = HeadKind::kFlow,
                       kDiffusion = HeadKind::kDiffusion, kSoftmax = HeadKind::kSoftmax;
    const Setting settings[] = {{"model.input", {kEnergy, kFlow, kDiffusion}},
                                {"model.head_layers", {kEnergy, kFlow, kDiffusion}},
                                {"model.samples", {kEnergy, kFlow, kDiffusion}},
                                {"model.skip_autoencoder_data", {kEnergy, kFlow, kDiffusion}},
                                {"model.noise_size", {kEnergy}},
                                {"model.alpha", {kEnergy}},
                                {"model.target", {kEnergy}},
                                {"model.target_samples", {kEnergy}},
                                {"model.flow_solver", {kFlow}},
                                {"model.flow_steps", {kFlow}},
                                {"model.diffusion_steps", {kDiffusion}},
                                {"model.tie_embeddings", {kSoftmax}}};
    JobSpec defaults;
    const std::vector<SpecKey> default_keys = KeysOf(defaults);
    for (const Setting& setting : settings) {
      const auto& heads = setting.heads;
      if (std::find(heads.begin(), heads.end(), spec_.model.head) != heads.end()) continue;
      for (size_t i = 0; i < keys.size(); ++i) {
        if (keys[i].Path() != setting.path) continue;
        if (PlainTextOf(keys[i]) == PlainTextOf(default_keys[i])) continue;
        Refuse({keys[i].Path(), "model.head"}, "has no effect with this model.head; remove it");
      }
    }
  }

  void CheckEval() {
    if (spec_.eval.every > 0 && spec_.data.heldout == 0) {
      Refuse({"eval.every", "data.heldout"},
             "needs held-out documents; write data.heldout = 0.02 or so, or eval.every = 0");
    }
    constexpr double kTolerance = 1e-6;
    const double temperature = spec_.eval.temperature;
    const double inverse = std::round(1 / temperature);
    if (std::abs(temperature * inverse - 1) > kTolerance) {
      const double below = std::ceil(1 / temperature), above = std::floor(1 / temperature);
      Refuse({"eval.temperature"},
             fmt::format("{} is not 1/n for a whole number n; choose {} or {}",
                         NumberText(temperature), NumberText(1 / below), NumberText(1 / above)));
    }
  }

  void ResolveFiles(const std::string& base_dir, bool check_files) {
    if (lines_.Has("data.sources") && spec_.data.sources.empty()) {
      Refuse({"data.sources"}, "is empty; name at least one file");
    }
    std::set<std::string> seen;
    for (size_t i = 0; i < spec_.data.sources.size(); ++i) {
      const std::string path = fmt::format("data.sources[{}]", i);
      std::string& source = spec_.data.sources[i];
      if (source.empty()) {
        Refuse({path}, "is empty; name a file");
        continue;
      }
      source = Absolute(base_dir, source);
      if (!seen.insert(source).second) {
        Refuse({path}, source + " is listed twice; remove one of the two");
      } else if (check_files) {
        CheckFile(path, source);
      }
    }
    if (spec_.tokenizer.path.empty()) return;
    spec_.tokenizer.path = Absolute(base_dir, spec_.tokenizer.path);
    if (check_files) CheckFile("tokenizer.path", spec_.tokenizer.path);
  }

 private:
  // About the first of `paths`; the others take part in the contradiction. Where the first is a
  // default, the line is that of the first one written. Silent when one is in error already.
  void Refuse(const std::vector<std::string>& paths, const std::string& message) {
    int line = 0;
    for (const std::string& path : paths) {
      if (errors_.Has(path)) return;
      if (line == 0 && lines_.Has(path)) line = lines_.Of(path);
    }
    errors_.Add(line == 0 ? lines_.Of(paths[0]) : line, paths[0], message);
  }

  static std::string Absolute(const std::string& base_dir, const std::string& path) {
    const std::filesystem::path joined = std::filesystem::path(base_dir) / path;
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(joined, error);
    return (error ? joined : absolute).lexically_normal().string();
  }

  void CheckFile(const std::string& key_path, const std::string& file) {
    const absl::StatusOr<uint64_t> size = Env::Posix()->FileSize(file);
    if (!size.ok()) {
      Refuse({key_path}, MessageOf(size.status()) +
                             "; correct the name, which counts from the folder of the job file");
    } else if (*size == 0) {
      Refuse({key_path}, file + " is empty; put text into it or remove it here");
    } else if (const auto byte = Env::Posix()->ReadRange(file, 0, 1); !byte.ok()) {
      Refuse({key_path}, MessageOf(byte.status()) + "; make the file readable");
    }
  }

  JobSpec& spec_;
  const SpecLines& lines_;
  SpecErrors& errors_;
};

}  // namespace

absl::StatusOr<JobSpec> LoadJobSpec(const std::string& path) {
  absl::StatusOr<std::string> text = Env::Posix()->ReadFile(path);
  if (!text.ok()) {
    const std::string message = MessageOf(text.status()) + "; give the name of a job file";
    return absl::IsNotFound(text.status()) ? NotFound(message) : InvalidArgument(message);
  }
  return ParseJobSpec(*text, path, DirName(path), /*check_files=*/true);
}

absl::StatusOr<JobSpec> ParseJobSpec(std::string_view toml, const std::string& file_name,
                                     const std::string& base_dir, bool check_files) {
  JobSpec spec;
  const std::vector<SpecKey> keys = KeysOf(spec);
  // A preset gives defaults, so it must be known before anything else is read.
  SpecErrors unreported(file_name);
  ReadSpecToml(toml, keys, unreported);
  JobSpec defaults;
  defaults.autoencoder.preset = spec.autoencoder.preset;
  ApplyPreset(defaults);
  spec = defaults;
  SpecErrors errors(file_name);
  const SpecLines lines = ReadSpecToml(toml, keys, errors);
  // After a syntax error nothing is known about the rest of the file.
  if (errors.Has(kSyntaxPath)) return errors.ToStatus();

  Checker checker(spec, lines, errors);
  checker.CheckRequired(keys);
  checker.CheckName();
  checker.CheckData();
  checker.CheckTokenizer();
  checker.CheckTrain("autoencoder.train", spec.autoencoder.train);
  checker.CheckTrain("train", spec.train);
  checker.CheckAutoencoder();
  checker.CheckModel();
  checker.CheckHead(keys);
  checker.CheckEval();
  checker.ResolveFiles(base_dir, check_files);
  RETURN_IF_ERROR(errors.ToStatus());
  return spec;
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
  JobSpec copy = spec;  // the key table points into what it describes
  std::string toml, section;
  for (const SpecKey& key : KeysOf(copy)) {
    if (key.section != section) {
      section = key.section;
      toml += fmt::format("\n[{}]\n", section);
    }
    toml += fmt::format("{} = {}\n", key.name, TomlTextOf(key));
  }
  return toml;
}

}  // namespace halcyon::jobs
