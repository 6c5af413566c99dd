#include "jobs/spec_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "jobs/presets.h"
#include "jobs/slurm_keys.h"

namespace halcyon::jobs {
namespace {

class Checker {
 public:
  Checker(const JobSpec& spec, const SpecLines& lines, SpecErrors& errors)
      : spec_(spec), lines_(lines), errors_(errors) {}

  void CheckRequired(const std::vector<SpecKey>& keys) {
    for (const SpecKey& key : keys) {
      if (!key.required() || lines_.Has(key.Path()) || errors_.Has(key.section)) continue;
      if (key.Path() == "data.sources" && lines_.Has("data.source")) continue;
      errors_.Add(lines_.Of(key.Path()), key.Path(),
                  fmt::format("missing; write {}{} = {}",
                              key.section.empty() ? "" : "in [" + key.section + "] ", key.name,
                              key.example));
    }
  }

  void CheckName() {
    if (IsPlainName(spec_.name)) return;
    Refuse({"name"}, fmt::format("{} does not serve as a folder's name; {}", Quoted(spec_.name),
                                 kPlainNameAdvice));
  }

  // Whether ToToml wrote the file, perhaps in another version with other keys and other defaults: a
  // setting without effect is then not a mistake of the user.
  // [launch] does not count: it gains keys with most versions.
  bool IsResolved(const std::vector<SpecKey>& keys) const {
    int64_t given = 0, all = 0;
    for (const SpecKey& key : keys) {
      if (key.section.starts_with("launch")) continue;
      ++all;
      if (lines_.Has(key.Path())) ++given;
    }
    return 10 * given >= 9 * all;
  }

  void CheckTokenizer() {
    if (spec_.tokenizer.path.empty()) return CheckTrainedPattern();
    const TokenizerSpec defaults;
    const std::string advice = "has no effect with tokenizer.path, whose file decides; remove it";
    if (spec_.tokenizer.vocab_size != defaults.vocab_size) {
      Refuse({"tokenizer.vocab_size", "tokenizer.path"}, advice);
    }
    if (spec_.tokenizer.train_bytes_max != defaults.train_bytes_max) {
      Refuse({"tokenizer.train_bytes_max", "tokenizer.path"}, advice);
    }
    if (spec_.tokenizer.words_bytes_max != defaults.words_bytes_max) {
      Refuse({"tokenizer.words_bytes_max", "tokenizer.path"}, advice);
    }
  }

  // With a file, its reader knows which patterns there are.
  void CheckTrainedPattern() {
    for (const char* known : {"gpt2", "llama3", "cl100k", "o200k"}) {
      if (spec_.tokenizer.pattern == known) return;
    }
    Refuse({"tokenizer.pattern"},
           "must be one of \"gpt2\", \"llama3\", \"cl100k\", \"o200k\" to train a vocabulary");
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
    // BrierLM scores four tokens after the first chunk.
    const int64_t chunk_size = spec_.autoencoder.chunk_size, scored = 4;
    if ((spec_.model.window_chunks - 1) * chunk_size < scored) {
      Refuse({"model.window_chunks", "autoencoder.chunk_size"},
             fmt::format("{} chunks of {} leave no {} tokens after the first chunk to score; "
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

  // Settings of one head that have no meaning for another.
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
                                {"model.tie_embeddings", {kSoftmax}},
                                {"data.latents", {kEnergy, kFlow, kDiffusion}},
                                {"data.latent_format", {kEnergy, kFlow, kDiffusion}},
                                {"data.encoding_precision", {kEnergy, kFlow, kDiffusion}}};
    JobSpec defaults;
    defaults.model.preset = spec_.model.preset;
    ApplyPresets(defaults);
    const std::set<std::string> given = KeysThatDiffer(keys, std::move(defaults));
    for (const Setting& setting : settings) {
      const std::string path(setting.path);
      if (std::ranges::count(setting.heads, spec_.model.head) > 0 || !given.contains(path))
        continue;
      Refuse({path, "model.head"}, "has no effect with this model.head; remove it");
    }
  }

  void CheckEval() {
    if (spec_.eval.every > 0 && spec_.data.heldout == 0 && spec_.data.heldout_sources.empty()) {
      Refuse(
          {"eval.every", "data.heldout"},
          "needs held-out documents; write data.heldout = 0.02 or so, or data.heldout_sources, or "
          "eval.every = 0");
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

  // A window has 2^34 random numbers for each purpose, which the heads divide (model/heads/). A job
  // that needs more would use some of them twice; no machine of today has the memory for it.
  void CheckRandomNumbers() {
    const ModelSpec& model = spec_.model;
    if (model.head == HeadKind::kSoftmax) return;
    const bool is_energy = model.head == HeadKind::kEnergy;
    const int64_t latent = spec_.autoencoder.latent_size;
    const int64_t width = is_energy ? model.noise_size : latent;
    const std::string of_width = is_energy ? "model.noise_size" : "autoencoder.latent_size";
    const auto check = [&](const std::string& key, int64_t draws, int64_t chunks, int64_t numbers,
                           const std::string& of_numbers, int bits) {
      // Each factor is below 2^21, so the product does not overflow.
      if (draws * chunks * numbers <= int64_t{1} << bits) return;
      Refuse({key, of_numbers, "model.window_chunks"},
             fmt::format("{} draws of {} numbers ({}) at {} places are more than the 2^{} random "
                         "numbers that a sequence has for them; lower one of the three",
                         draws, numbers, of_numbers, chunks, bits));
    };
    const int64_t window = model.window_chunks;
    check("model.samples", model.samples, window, width, of_width, is_energy ? 33 : 32);
    if (is_energy && model.target == EnergyTarget::kSamples) {
      check("model.target_samples", model.target_samples, window, latent, "autoencoder.latent_size",
            33);
    }
    check("eval.samples", spec_.eval.samples, window, width, of_width, 34);
    check("eval.temperature_samples", spec_.eval.temperature_samples, 1, width, of_width, 34);
  }

  void CheckLaunch() {
    const LaunchSpec& launch = spec_.launch;
    if (launch.ranks_min > launch.ranks) {
      Refuse({"launch.ranks_min", "launch.ranks"},
             fmt::format("{} is more than launch.ranks, {}; it says with how many fewer a gang may "
                         "be launched",
                         launch.ranks_min, launch.ranks));
    }
    const bool may_shrink = launch.ranks_min > 0 && launch.ranks_min < launch.ranks;
    if (may_shrink && launch.placement.launcher == LauncherKind::kExternal) {
      Refuse(
          {"launch.ranks_min", "launch.launcher"},
          "launcher = \"external\" has a world of fixed size, so none may be missing; remove it");
    }
    if (may_shrink && launch.sharding == Sharding::kHybrid) {
      Refuse(
          {"launch.ranks_min", "launch.sharding"},
          "sharding = \"hybrid\" needs equally many ranks on every node, so none may be missing; "
          "remove it");
    }
    if (!launch.copy_caches_to.empty()) {
      CheckAbsolute("launch.copy_caches_to", launch.copy_caches_to, lines_, errors_);
    }
  }

 private:
  void Refuse(const std::vector<std::string>& paths, const std::string& message) {
    jobs::Refuse(paths, message, lines_, errors_);
  }

  const JobSpec& spec_;
  const SpecLines& lines_;
  SpecErrors& errors_;
};

}  // namespace

bool IsPlainName(std::string_view name) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= kNameLengthMax && name[0] != '.' && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), allowed);
}

void Refuse(const std::vector<std::string>& paths, const std::string& message,
            const SpecLines& lines, SpecErrors& errors) {
  int line = 0;
  std::string override;
  for (const std::string& path : paths) {
    if (errors.Has(path)) return;
    if (line == 0 && lines.Has(path)) line = lines.Of(path);
    // The value from the command line caused the contradiction.
    if (override.empty() && lines.IsOverride(path)) override = path.substr(0, path.find('['));
  }
  errors.SetOverride(override);
  errors.Add(line == 0 ? lines.Of(paths[0]) : line, paths[0], message);
  errors.SetOverride("");
}

void CheckAbsolute(const std::string& key, const std::string& path, const SpecLines& lines,
                   SpecErrors& errors) {
  if (path.starts_with('/')) return;
  Refuse({key}, Quoted(path) + " is not an absolute path; write one", lines, errors);
}

void CheckSpec(const std::vector<SpecKey>& keys, const SpecLines& lines, const JobSpec& spec,
               SpecErrors& errors) {
  Checker checker(spec, lines, errors);
  checker.CheckRequired(keys);
  checker.CheckName();
  CheckData(keys, spec, lines, errors);
  CheckSources(spec.data, lines, errors);
  if (!checker.IsResolved(keys)) {
    checker.CheckTokenizer();
    checker.CheckHead(keys);
  }
  checker.CheckTrain("autoencoder.train", spec.autoencoder.train);
  checker.CheckTrain("train", spec.train);
  checker.CheckAutoencoder();
  checker.CheckModel();
  checker.CheckEval();
  checker.CheckRandomNumbers();
  CheckSlurm("launch.slurm", spec.launch.slurm, lines, errors);
  checker.CheckLaunch();
  CheckPlacement(spec.launch.placement, lines, errors);
}

}  // namespace halcyon::jobs
