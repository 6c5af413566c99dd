#include "jobs/spec_keys.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <map>

#include "jobs/key_table.h"

namespace halcyon::jobs {
namespace {

// Bounds that only keep products of sizes far from overflow; no machine of today comes near.
constexpr int64_t kStepsMax = 1'000'000'000;  // a step is a 32-bit counter of the random numbers
constexpr int64_t kBatchMax = 1 << 20;
constexpr int64_t kWidthMax = 1 << 18;
constexpr int64_t kDrawsMax = 1024;
constexpr int64_t kBytesMax = int64_t{1} << 40;
constexpr int64_t kTokenMax = std::numeric_limits<uint32_t>::max();
constexpr int64_t kProcessesMax = 1024;
constexpr int64_t kOrphanGraceSMax = 86400;
constexpr int64_t kLayersMax = 1024;
constexpr int64_t kSecondsMax = 86'400;
constexpr double kStdMax = 10;
constexpr double kWeightMax = 1e9;

constexpr Interval kProbability = {.min = 0, .max = 1, .open_max = true};
constexpr Interval kEpsilon = {.min = 0, .max = 1, .open_min = true};
constexpr char kEpsilonReason[] = "a norm divides by it where its input is zero";
constexpr Interval kStd = {.min = 0, .max = kStdMax, .open_min = true};

void AddTop(JobSpec& spec, KeyTable& keys) {
  keys.Section("");
  keys.Text("name", &spec.name);
  keys.Required("\"my-job\"");
  // A signed view of an unsigned integer is legal, and TOML's integers end where it turns negative.
  keys.Integer("seed", reinterpret_cast<int64_t*>(&spec.seed), 0,
               std::numeric_limits<int64_t>::max(), "a seed has no sign");
}

void AddData(DataSpec& data, KeyTable& keys) {
  keys.Section("data");
  keys.List("sources", &data.sources);
  keys.Required("[\"text.txt\"]");
  keys.Sources("source", &data.source);
  keys.List("heldout_sources", &data.heldout_sources);
  keys.Choice("format", &data.format, {"text", "jsonl", "tokens"});
  keys.Choice("documents", &data.documents, {"file", "lines", "paragraphs", "entries"});
  keys.Text("field", &data.field);
  keys.Number("heldout", &data.heldout, {.min = 0, .max = 0.5},
              "at least half of the documents must be left to train on");
  keys.Choice("invalid_utf8", &data.invalid_utf8, {"replace", "refuse"});
  keys.Choice("bad_documents", &data.bad_documents, {"refuse", "skip"});
  keys.Choice("token_type", &data.token_type, {"auto", "uint16", "uint32"});
  keys.Integer("end_of_document", &data.end_of_document, -1, kTokenMax,
               "an id has 32 bits, and -1 means that none ends a document");
  keys.Integer("shard_bytes", &data.shard_bytes, 1, int64_t{1} << 30,
               "a shard is read into memory");
  keys.Choice("latents", &data.latents, {"store", "recompute", "auto"});
  keys.Choice("latent_format", &data.latent_format, {"float16", "bfloat16", "float32"});
  keys.Choice("encoding_precision", &data.encoding_precision, {"float32", "bfloat16"});
}

void AddTokenizer(TokenizerSpec& tokenizer, KeyTable& keys) {
  keys.Section("tokenizer");
  keys.Text("path", &tokenizer.path);
  keys.Integer("vocab_size", &tokenizer.vocab_size, 259, 1 << 20,
               "a vocabulary holds 256 bytes, 2 special tokens and at least 1 merge");
  keys.Text("pattern", &tokenizer.pattern);
  keys.Integer("train_bytes_max", &tokenizer.train_bytes_max, 1, kBytesMax,
               "merges are learned from some text");
  keys.Integer("words_bytes_max", &tokenizer.words_bytes_max, 1 << 20, kBytesMax,
               "rare words are left out when all take more memory, and some must stay");
}

void AddTrain(const std::string& section, TrainSpec& train, KeyTable& keys) {
  keys.Section(section);
  keys.Integer("steps", &train.steps, 1, kStepsMax, "a stage trains for at least one step");
  keys.Integer("batch", &train.batch, 1, kBatchMax, "a step needs a sample");
  keys.Integer("micro_batch", &train.micro_batch, 0, kBatchMax, "0 means batch / ranks in one go");
  keys.Number("learning_rate", &train.learning_rate, {.min = 0, .max = 1, .open_min = true},
              "a rate of 0 learns nothing and AdamW diverges above 1");
  keys.Integer("warmup_steps", &train.warmup_steps, 0, kStepsMax, "0 means no warm-up");
  keys.Choice("decay", &train.decay, {"constant", "cosine", "linear"});
  keys.Number("final_learning_rate_ratio", &train.final_learning_rate_ratio, {.min = 0, .max = 1},
              "the rate decays, it does not grow");
  const std::string average = "it is the decay of a running average";
  keys.Number("beta1", &train.beta1, kProbability, average);
  keys.Number("beta2", &train.beta2, kProbability, average);
  keys.Number("epsilon", &train.epsilon, {.min = 0, .max = 1, .open_min = true},
              "AdamW divides by it where gradients are zero");
  keys.Number("weight_decay", &train.weight_decay, {.min = 0, .max = 10},
              "larger values wipe the weights out");
  keys.Number("clip_norm", &train.clip_norm, {.min = 0, .max = 1e9}, "0 means no clipping");
  keys.Choice("precision", &train.precision, {"float32", "bfloat16"});
}

void AddAutoencoder(AutoencoderSpec& autoencoder, KeyTable& keys) {
  keys.Section("autoencoder");
  keys.Choice("preset", &autoencoder.preset, {"none", "plain-10", "robust-128", "calm"});
  keys.Integer("chunk_size", &autoencoder.chunk_size, 1, 64, "a latent holds only so many tokens");
  keys.Integer("latent_size", &autoencoder.latent_size, 1, kWidthMax, "a latent needs an element");
  keys.Integer("hidden_size", &autoencoder.hidden_size, 1, kWidthMax, "a layer needs a width");
  keys.Integer("intermediate_size", &autoencoder.intermediate_size, 1, kWidthMax,
               "a layer needs a width");
  keys.Integer("encoder_layers", &autoencoder.encoder_layers, 1, 128, "an encoder has a layer");
  keys.Integer("decoder_layers", &autoencoder.decoder_layers, 1, 128, "a decoder has a layer");
  keys.Number("norm_epsilon", &autoencoder.norm_epsilon, kEpsilon, kEpsilonReason);
  keys.Boolean("variational", &autoencoder.variational);
  const std::string dropout = "dropping everything teaches nothing";
  keys.Number("token_dropout", &autoencoder.token_dropout, kProbability, dropout);
  keys.Choice("token_dropout_rule", &autoencoder.token_dropout_rule, {"mask", "zero_id"});
  keys.Number("latent_dropout", &autoencoder.latent_dropout, kProbability, dropout);
  keys.Number("kl_weight", &autoencoder.kl_weight, {.min = 0, .max = 1000},
              "it weighs a divergence against the reconstruction");
  keys.Number("kl_clamp", &autoencoder.kl_clamp, {.min = 0, .max = 1000},
              "a divergence is never negative");
  keys.Number("data_fraction", &autoencoder.data_fraction, {.min = 0, .max = 1, .open_min = true},
              "an autoencoder learns from some text");
  keys.Choice("init", &autoencoder.init, {"auto", "normal", "fan_in"});
  keys.Number("init_std", &autoencoder.init_std, kStd, "equal weights stay equal");
  AddTrain("autoencoder.train", autoencoder.train, keys);
}

void AddModel(ModelSpec& model, KeyTable& keys) {
  keys.Section("model");
  keys.Choice("preset", &model.preset, {"none", "calm-s", "calm-m"});
  keys.Choice("head", &model.head, {"energy", "diffusion", "flow", "softmax"});
  keys.Choice("input", &model.input, {"discrete", "continuous", "both"});
  keys.Integer("hidden_size", &model.hidden_size, 2, kWidthMax,
               "rotary embeddings turn pairs of elements");
  keys.Integer("intermediate_size", &model.intermediate_size, 1, kWidthMax,
               "a layer needs a width");
  keys.Integer("layers", &model.layers, 1, 1024, "a backbone has a block");
  keys.Integer("attention_heads", &model.attention_heads, 1, 1024, "attention has a head");
  keys.Integer("key_value_heads", &model.key_value_heads, 0, 1024,
               "0 means as many as attention_heads");
  keys.Number("norm_epsilon", &model.norm_epsilon, kEpsilon, kEpsilonReason);
  keys.Boolean("tie_embeddings", &model.tie_embeddings);
  keys.Boolean("document_mask", &model.document_mask);
  keys.Integer("head_layers", &model.head_layers, 1, 256, "a head has a block");
  keys.Integer("noise_size", &model.noise_size, 1, kWidthMax, "samples differ by their noise");
  keys.Integer("window_chunks", &model.window_chunks, 2, 1 << 20,
               "the first chunk of a window is never predicted");
  keys.Number("rope_theta", &model.rope_theta, {.min = 1, .max = 1e12, .open_min = true},
              "wavelengths grow with the dimension only then");
  keys.Number("alpha", &model.alpha, {.min = 0, .max = 2, .open_min = true},
              "the energy score is proper only there");
  keys.Integer("samples", &model.samples, 2, kDrawsMax,
               "the energy loss compares samples with each other");
  keys.Choice("target", &model.target, {"exact", "samples"});
  keys.Integer("target_samples", &model.target_samples, 1, 1 << 20, "an average needs a sample");
  keys.Choice("flow_solver", &model.flow_solver, {"midpoint", "euler"});
  keys.Integer("flow_steps", &model.flow_steps, 1, kDrawsMax, "a solver makes a step");
  keys.Integer("diffusion_steps", &model.diffusion_steps, 2, 1000,
               "they are kept from 1000, the first and the last among them");
  keys.Boolean("skip_autoencoder_data", &model.skip_autoencoder_data);
  keys.Choice("init", &model.init, {"auto", "normal", "fan_in"});
  keys.Number("init_std", &model.init_std, kStd, "equal weights stay equal");
}

void AddCheckpoint(CheckpointSpec& checkpoint, KeyTable& keys) {
  keys.Section("checkpoint");
  keys.Integer("every", &checkpoint.every, 1, kStepsMax, "a stage that never saves cannot go on");
  keys.Integer("keep", &checkpoint.keep, 1, 1'000'000, "the newest checkpoint is always kept");
}

void AddEval(EvalSpec& eval, KeyTable& keys) {
  keys.Section("eval");
  keys.Integer("every", &eval.every, 0, kStepsMax, "0 means only at the end");
  keys.Integer("windows", &eval.windows, 1, kBatchMax, "a score needs a window");
  keys.Integer("final_windows", &eval.final_windows, 1, kBatchMax, "a score needs a window");
  keys.Integer("samples", &eval.samples, 2, kDrawsMax, "BrierLM compares two draws");
  keys.Integer("bootstrap", &eval.bootstrap, 40, 1'000'000,
               "the tails of a 95 % interval are empty with fewer");
  keys.Integer("continuations", &eval.continuations, 0, 1000, "0 means no sample texts");
  keys.Integer("prompt_chunks", &eval.prompt_chunks, 1, 1 << 20,
               "a continuation starts from some text");
  keys.Integer("continuation_chunks", &eval.continuation_chunks, 1, 1 << 20,
               "a continuation has a chunk");
  keys.Number("temperature", &eval.temperature, {.min = 0.01, .max = 1},
              "sampling at 1/n needs n equal draws and cannot flatten a distribution");
  keys.Integer("temperature_samples", &eval.temperature_samples, 1, kBatchMax,
               "a choice needs a draw");
}

void AddLaunch(LaunchSpec& launch, KeyTable& keys) {
  keys.Section("launch");
  keys.Integer("ranks", &launch.ranks, 1, kProcessesMax, "a gang has a rank");
  keys.Integer("ranks_min", &launch.ranks_min, 0, kProcessesMax, "0 means as many as ranks");
  keys.Integer("threads", &launch.threads, 1, kProcessesMax, "a rank has a thread");
  keys.Integer("agents", &launch.agents, 0, kProcessesMax, "0 means one a processor");
  keys.Choice("device", &launch.device, {"auto", "cpu", "cuda"});
  keys.Choice("arithmetic", &launch.arithmetic, {"native", "portable"});
  keys.Integer("restarts_max", &launch.restarts_max, 0, 1000, "0 means that no failure is retried");
  keys.Integer("hang_floor_s", &launch.hang_floor_s, 0, 7 * 86'400, "0 means that nothing hangs");
  keys.Number("hang_factor", &launch.hang_factor, {.min = 2, .max = 1000},
              "how long a phase takes varies");
  keys.Integer("orphan_grace_s", &launch.orphan_grace_s, 0, kOrphanGraceSMax,
               "0 means that workers end with their coordinator");
  keys.Choice("sharding", &launch.sharding, {"full", "gradient", "none", "hybrid"});
  keys.Choice("accumulate", &launch.accumulate, {"reduced", "local"});
  keys.Integer("recompute", &launch.recompute, 0, kLayersMax, "it is a number of blocks");
  keys.Integer("stop_grace_s", &launch.stop_grace_s, 0, kSecondsMax, "0 means no limit");
  keys.Integer("stop_margin_s", &launch.stop_margin_s, 0, kSecondsMax, "a margin is a time");
  keys.Text("copy_caches_to", &launch.copy_caches_to);
  PlacementSpec& placement = launch.placement;
  keys.Choice("launcher", &placement.launcher, {"auto", "mpirun", "srun", "external"});
  keys.List("hosts", &placement.hosts);
  keys.Text("hostfile", &placement.hostfile);
  keys.Text("coordinator_address", &placement.coordinator_address);
  keys.Text("interfaces", &placement.interfaces);
  keys.Text("transports", &placement.transports);
  keys.Choice("bind", &placement.bind, {"none", "core", "socket"});
  keys.Text("rsh_agent", &placement.rsh_agent);
}

// A long list has a line for each value, since lines of many thousand paths are hard to read, and
// refused (jobs/spec_reader.cc).
std::string ListText(const std::vector<std::string>& values) {
  constexpr size_t kOnOneLineMax = 8;
  const bool is_long = values.size() > kOnOneLineMax;
  std::string text = "[";
  for (const std::string& value : values) {
    text += text.size() > 1 ? "," : "";
    text += is_long ? "\n  " : (text.size() > 1 ? " " : "");
    text += Quoted(value);
  }
  return text + (is_long ? "\n]" : "]");
}

std::string TableText(const std::map<std::string, std::string>& values) {
  std::string text = "{";
  for (const auto& [name, value] : values) {
    text += fmt::format("{}{} = {}", text.size() > 1 ? ", " : " ", Quoted(name), Quoted(value));
  }
  return text + (values.empty() ? "}" : " }");
}

std::string SourcesText(const std::vector<SourceSpec>& sources) {
  std::string text = "[";
  for (SourceSpec source : sources) {
    text += text.size() > 1 ? ", {" : "{";
    for (const SpecKey& key : SourceKeysOf("", source)) {
      text += fmt::format("{} {} = {}", text.back() == '{' ? "" : ",", key.name, TomlTextOf(key));
    }
    text += " }";
  }
  return text + "]";
}

}  // namespace

bool Interval::Contains(double value) const {
  // Written so that NaN is outside.
  const bool above = open_min ? value > min : value >= min;
  const bool below = open_max ? value < max : value <= max;
  return above && below;
}

std::string Interval::Text() const {
  if (!open_min && !open_max) return fmt::format("from {} to {}", NumberText(min), NumberText(max));
  return fmt::format("{} {} and {} {}", open_min ? "above" : "at least", NumberText(min),
                     open_max ? "below" : "at most", NumberText(max));
}

std::vector<SpecKey> KeysOf(JobSpec& spec) {
  KeyTable keys;
  AddTop(spec, keys);
  AddData(spec.data, keys);
  AddTokenizer(spec.tokenizer, keys);
  AddAutoencoder(spec.autoencoder, keys);
  AddModel(spec.model, keys);
  AddTrain("train", spec.train, keys);
  AddCheckpoint(spec.checkpoint, keys);
  AddEval(spec.eval, keys);
  AddLaunch(spec.launch, keys);
  AddSlurm("launch.slurm", spec.launch.slurm, keys);
  return keys.Take();
}

std::vector<SpecKey> SourceKeysOf(const std::string& section, SourceSpec& source) {
  KeyTable keys;
  keys.Section(section);
  keys.Text("name", &source.name);
  keys.Required("\"web\"");
  keys.List("paths", &source.paths);
  keys.Required("[\"web/*.jsonl\"]");
  keys.Number("weight", &source.weight, {.min = 0, .max = kWeightMax, .open_min = true},
              "only the ratios of the weights count");
  keys.Required("1.0");
  return keys.Take();
}

std::vector<std::string> SectionsOf(const std::vector<SpecKey>& keys) {
  std::vector<std::string> sections;
  for (const SpecKey& key : keys) {
    if (key.section.empty()) continue;
    if (sections.empty() || sections.back() != key.section) sections.push_back(key.section);
  }
  return sections;
}

std::string TomlTextOf(const SpecKey& key) {
  const bool is_text =
      std::holds_alternative<TextKey>(key.value) || std::holds_alternative<ChoiceKey>(key.value);
  return is_text ? Quoted(PlainTextOf(key)) : PlainTextOf(key);
}

std::set<std::string> KeysThatDiffer(const std::vector<SpecKey>& keys, JobSpec defaults) {
  const std::vector<SpecKey> default_keys = KeysOf(defaults);
  std::set<std::string> paths;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (PlainTextOf(keys[i]) != PlainTextOf(default_keys[i])) paths.insert(keys[i].Path());
  }
  return paths;
}

std::string PlainTextOf(const SpecKey& key) {
  struct Visitor {
    std::string operator()(const IntegerKey& k) const { return std::to_string(*k.value); }
    std::string operator()(const NumberKey& k) const { return NumberText(*k.value); }
    std::string operator()(const BooleanKey& k) const { return *k.value ? "true" : "false"; }
    std::string operator()(const TextKey& k) const { return *k.value; }
    std::string operator()(const ListKey& k) const { return ListText(*k.value); }
    std::string operator()(const TableKey& k) const { return TableText(*k.value); }
    std::string operator()(const SourcesKey& k) const { return SourcesText(*k.value); }
    std::string operator()(const ChoiceKey& k) const { return std::string(k.choices[k.get()]); }
  };
  return std::visit(Visitor{}, key.value);
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      quoted += fmt::format("\\u{:04X}", byte);
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string NumberText(double value) {
  // Minus zero equals zero and must not read differently.
  std::string text = fmt::format("{}", value == 0 ? 0.0 : value);
  if (std::isfinite(value) && text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

}  // namespace halcyon::jobs
