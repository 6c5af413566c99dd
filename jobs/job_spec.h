// The job: everything a user writes in the TOML file, with every default filled in. One parser, one
// struct, no second route for settings: workers read the resolved file that ToToml() wrote.
// docs/job_spec.md documents each key.
#ifndef HALCYON_JOBS_JOB_SPEC_H_
#define HALCYON_JOBS_JOB_SPEC_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace halcyon::jobs {

enum class DataFormat { kText, kJsonl, kTokens };
// How ids are stored in a file of them that does not say so itself.
enum class TokenType { kAuto, kUint16, kUint32 };  // kAuto: all files say it
// How a text file falls into documents.
enum class DocumentRule {
  kFile,        // the whole file is one
  kLines,       // each line that is not blank
  kParagraphs,  // runs of lines between blank lines
  kEntries,     // one starts at an unindented line after a blank line (or at the file's start)
};
enum class InvalidUtf8 { kReplace, kRefuse };
// A document that cannot be used: a line that is no JSON object with a text, or with
// InvalidUtf8::kRefuse one that is not UTF-8.
enum class BadDocuments { kRefuse, kSkip };  // ends the stage; is left out and counted
enum class InitRule {
  kAuto,    // kFanIn below a width of 512, kNormal from there on; a spec that was read never has it
  kNormal,  // N(0, init_std), biases zero: the paper's rule, for its widths
  kFanIn,   // N(0, 1/sqrt(fan_in)), embeddings N(0, init_std): learns at small widths, too
};
inline constexpr double kPaperInitStd = 0.02;
// `rule` with kAuto resolved for a network of this width: kNormal or kFanIn.
InitRule InitRuleAt(InitRule rule, int64_t width);
// What replaces a dropped token at the autoencoder's input.
enum class TokenDropoutRule { kMask, kZeroId };  // an embedding of its own; id 0's embedding
enum class AutoencoderPreset { kNone, kPlain10, kRobust128, kCalm };
enum class ModelPreset { kNone, kCalmS, kCalmM };
// What turns the backbone's hidden state into the next chunk.
enum class HeadKind {
  kEnergy,     // one pass from noise to a latent, trained by the energy score
  kDiffusion,  // denoising steps
  kFlow,       // an ordinary differential equation from noise to a latent
  kSoftmax,    // no latents: logits of the next token (the baseline)
};
enum class InputKind { kDiscrete, kContinuous, kBoth };  // a chunk's tokens, its latent, both
enum class FlowSolver { kMidpoint, kEuler };
enum class EnergyTarget { kExact, kSamples };
enum class LearningRateDecay { kConstant, kCosine, kLinear };

// [[data.source]]: files that are counted together, and their share of what the model is trained
// on.
struct SourceSpec {
  std::string name;
  std::vector<std::string> paths;  // as DataSpec::sources
  double weight = 0;               // above 0 in a spec that was read
  bool operator==(const SourceSpec&) const = default;
};

// Where the latents that a model is trained on come from: a cache that is made once, or the
// autoencoder, each time that a rank reads a window.
enum class LatentsRule { kStore, kRecompute, kAuto };

// What the numbers of latents are rounded to where they are stored, and alike where they are
// recomputed.
enum class LatentFormat { kFloat16, kBFloat16, kFloat32 };

// Of the parameters in use and the products of matrices (docs/precision.md).
enum class Precision { kFloat32, kBFloat16 };

// [data]
struct DataSpec {
  // Absolute paths after parsing; in the file relative to it. One of the two is given.
  std::vector<std::string> sources;
  std::vector<SourceSpec> source;
  std::vector<std::string> heldout_sources;  // as `sources`; never trained on
  DataFormat format = DataFormat::kText;
  DocumentRule documents = DocumentRule::kFile;  // format = "text"
  std::string field = "text";                    // format = "jsonl": the member that is the text
  double heldout = 0.02;  // fraction of documents never trained on, chosen by a hash of their bytes
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kReplace;
  BadDocuments bad_documents = BadDocuments::kRefuse;
  TokenType token_type = TokenType::kAuto;  // format = "tokens", as the next one
  int64_t end_of_document = -1;   // the id that ends a document and is no part of it; -1: none
  int64_t shard_bytes = 4 << 20;  // source bytes a shard, about
  LatentsRule latents = LatentsRule::kStore;  // kAuto: settled before the job's first stage
  LatentFormat latent_format = LatentFormat::kFloat16;
  Precision encoding_precision = Precision::kFloat32;  // of the encoder where it makes latents
  // All that is read, in this order; the index of a file of ids follows it: `sources` or the paths
  // of each `source`, `heldout_sources`.
  std::vector<std::string> Files() const;
  bool operator==(const DataSpec&) const = default;
};

// [tokenizer]
struct TokenizerSpec {
  std::string path;                    // import this tokenizer.json; "" trains one
  int64_t vocab_size = 512;            // all tokens: 256 bytes, merges, and the two special ones
  std::string pattern = "gpt2";        // gpt2 | llama3 | cl100k | o200k
  int64_t train_bytes_max = 64 << 20;  // of text looked at when training
  // Memory for the different words of that text; what else it does: pipeline/tokenizer.h.
  int64_t words_bytes_max = int64_t{4} << 30;
  bool operator==(const TokenizerSpec&) const = default;
};

// Optimizer and schedule of one training stage.
// [train], [autoencoder.train]
struct TrainSpec {
  int64_t steps = 1500;
  int64_t batch = 8;        // samples a step, over all ranks: windows; chunks for the autoencoder
  int64_t micro_batch = 0;  // samples a forward pass on one rank; 0: batch / ranks in one go
  double learning_rate = 2e-3;
  int64_t warmup_steps = 50;
  LearningRateDecay decay = LearningRateDecay::kCosine;
  double final_learning_rate_ratio = 0.1;  // at the last step, of learning_rate; with a decay
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;
  double clip_norm = 1.0;  // of the whole gradient; 0: none
  Precision precision = Precision::kFloat32;
  bool operator==(const TrainSpec&) const = default;
};

// [autoencoder]
struct AutoencoderSpec {
  AutoencoderPreset preset = AutoencoderPreset::kNone;  // gives other defaults to keys below
  int64_t chunk_size = 4;                               // K: tokens a chunk
  int64_t latent_size = 32;
  int64_t hidden_size = 64;
  int64_t intermediate_size = 160;
  int64_t encoder_layers = 2;
  int64_t decoder_layers = 2;
  double norm_epsilon = 1e-6;  // of the RMS norms
  bool variational = true;     // false: the latent is the mean, without noise or KL term
  double token_dropout = 0.15;
  TokenDropoutRule token_dropout_rule = TokenDropoutRule::kMask;
  double latent_dropout = 0.15;
  double kl_weight = 0.001;
  double kl_clamp = 0.5;       // per latent element, from below
  double data_fraction = 1.0;  // of the training shards, taken in a fixed random order
  InitRule init = InitRule::kAuto;
  double init_std = 0.5;  // read as 0.02 where init is kNormal and the file does not give it
  TrainSpec train = {.steps = 700, .batch = 512, .learning_rate = 5e-3};  // [autoencoder.train]
  bool operator==(const AutoencoderSpec&) const = default;
};

// [model]
struct ModelSpec {
  ModelPreset preset = ModelPreset::kNone;  // gives other defaults to keys below and to [train]
  HeadKind head = HeadKind::kEnergy;
  InputKind input = InputKind::kDiscrete;
  int64_t hidden_size = 128;
  int64_t intermediate_size = 384;
  int64_t layers = 4;
  int64_t attention_heads = 4;
  int64_t key_value_heads = 0;  // shared by groups of attention heads; 0: one for each
  double norm_epsilon = 1e-6;   // of the RMS norms
  bool tie_embeddings = false;  // head = softmax: the output uses the input's table
  int64_t head_layers = 1;      // blocks of the head
  int64_t noise_size = 64;
  int64_t window_chunks = 64;  // T: chunks a training sequence
  bool document_mask = false;  // a step attends to its own document alone
  double rope_theta = 10000.0;
  double alpha = 1.0;   // exponent of the energy score, in (0, 2]
  int64_t samples = 8;  // N: model samples, or denoising tasks, a position
  EnergyTarget target = EnergyTarget::kExact;
  int64_t target_samples = 100;  // M, with target = "samples"
  FlowSolver flow_solver = FlowSolver::kMidpoint;
  int64_t flow_steps = 10;             // of the solver, when sampling
  int64_t diffusion_steps = 100;       // kept of the 1000, when sampling
  bool skip_autoencoder_data = false;  // leave out the shards that the autoencoder trained on
  InitRule init = InitRule::kAuto;
  double init_std = 0.5;  // as above
  bool operator==(const ModelSpec&) const = default;
};

// [checkpoint]
struct CheckpointSpec {
  int64_t every = 100;  // steps
  int64_t keep = 2;     // committed ones a stage
  bool operator==(const CheckpointSpec&) const = default;
};

// [eval]
struct EvalSpec {
  int64_t every = 0;            // steps between evaluations while training; 0: only at the end
  int64_t windows = 16;         // held-out windows of an evaluation while training
  int64_t final_windows = 128;  // ... of the eval stage
  int64_t samples = 8;          // N: draws a position for BrierLM, at least 2
  int64_t bootstrap = 1000;     // resamples of the 95 % interval
  int64_t continuations = 3;    // sample texts to print
  int64_t prompt_chunks = 8;    // held-out chunks a continuation starts from
  int64_t continuation_chunks = 24;
  double temperature = 0.5;           // 1/n for a whole n (batch approximation), or 1
  int64_t temperature_samples = 100;  // N of the batch approximation
  bool operator==(const EvalSpec&) const = default;
};

// What workers compute on.
enum class DeviceChoice {
  kAuto,  // GPUs where every rank has one, else the CPU
  kCpu,
  kCuda,  // GPUs, one a rank; an error where one is missing
};

// Which instructions the numerical libraries of a worker may use.
enum class Arithmetic {
  kNative,    // the widest that the processor has: bits then belong to a type of processor
  kPortable,  // at most AVX2, which nearly all x86 processors have
};

// [launch]: never enters a fingerprint
// Which parts of the training state a rank keeps for itself alone (docs/fsdp.md).
enum class Sharding {
  kFull,      // parameters, gradients, optimizer state: 1/ranks of each
  kGradient,  // the same, but parameters stay whole from forward to the optimizer's step
  kNone,      // all of everything on every rank
  kHybrid,    // full within a node, the same on every node
};
// When the gradients of a micro-batch are summed over ranks.
enum class Accumulate {
  kReduced,  // after each; needs 1/ranks of the gradients' memory between them
  kLocal,    // once a step; keeps whole gradients
};

// [launch.slurm]: what `halcyon submit` asks Slurm for. "" and 0: not asked for, or what the text
// beside it says; the operator's cluster.toml (jobs/cluster_file.h) gives other defaults.
struct SlurmSpec {
  std::string partition;
  std::string account;
  std::string qos;
  std::string time;  // the limit, as sbatch takes it: "90", "12:00:00", "2-00"
  int64_t nodes = 1;
  int64_t ntasks_per_node = 0;  // 0: the job's ranks by its nodes, rounded up
  int64_t cpus_per_task = 0;    // 0: launch.threads
  std::string gres;
  std::string constraint;
  std::string exclude;
  std::string container_image;  // an option that the plugin pyxis adds to sbatch
  bool requeue = true;          // a job that was stopped before its end goes on by itself
  int64_t signal_s = 120;       // how long before the limit Slurm signals the job; 0: it does not
  std::map<std::string, std::string> options;  // of sbatch: {"mail-user", "a@b"}; "": a flag
  bool operator==(const SlurmSpec&) const = default;
};

// What starts the ranks, and agents on other hosts.
enum class LauncherKind {
  kAuto,      // srun in an allocation of several nodes where Slurm has PMIx, else mpirun
  kMpirun,    // Open MPI's
  kSrun,      // Slurm's, with PMIx
  kExternal,  // nothing: torchrun or the like has started a member for each rank
};
// What a rank may run on.
enum class Binding { kNone, kCore, kSocket };

// [launch]: which hosts take part, and how they are reached. Without hosts: the nodes of the Slurm
// allocation that the coordinator runs in, or its own machine alone.
struct PlacementSpec {
  LauncherKind launcher = LauncherKind::kAuto;
  std::vector<std::string> hosts;   // "n1:4", "n2": jobs/hosts.h
  std::string hostfile;             // instead of hosts; absolute after parsing
  std::string coordinator_address;  // where workers of other hosts reach the coordinator
  std::string interfaces;           // networks of the ranks: "eth0", "10.0.0.0/8"; with commas
  std::string transports;           // Open MPI's byte transfer layers: "self,vader,tcp"
  Binding bind = Binding::kNone;
  std::string rsh_agent;  // what mpirun starts its daemons on other hosts with; "": ssh
  bool operator==(const PlacementSpec&) const = default;
};

struct LaunchSpec {
  int64_t ranks = 2;
  int64_t ranks_min = 0;  // with which a gang is launched when not all come up; 0: as `ranks`
  int64_t threads = 1;    // a rank
  int64_t agents = 0;     // data-task processes; 0: one a processor
  DeviceChoice device = DeviceChoice::kAuto;
  Arithmetic arithmetic = Arithmetic::kNative;  // of the CPU
  int64_t restarts_max = 3;                     // of a failed gang or task before the job fails
  // What lasts longer than this and than hang_factor times the longest of its past hangs; 0:
  // nothing does.
  int64_t hang_floor_s = 300;
  double hang_factor = 10;
  int64_t orphan_grace_s = 600;  // workers go on so long without a coordinator
  Sharding sharding = Sharding::kFull;
  Accumulate accumulate = Accumulate::kReduced;
  int64_t recompute = 0;     // transformer blocks that compute their forward pass again in backward
  int64_t stop_grace_s = 0;  // from a stop to the end without saving; 0: as long as it takes
  int64_t stop_margin_s = 60;  // of the time before an allocation's end at which the job stops
  // An absolute folder on a disk of each host, for copies of the caches that ranks read
  // (storage/copies/host_copies.h); "": what cluster.toml says, else ranks read the state folder.
  std::string copy_caches_to = {};
  SlurmSpec slurm = {};
  PlacementSpec placement = {};
  bool operator==(const LaunchSpec&) const = default;
};

struct JobSpec {
  std::string name;   // top level; letters, digits, '-', '_' and '.'
  uint64_t seed = 1;  // up to 2^63 - 1, the largest integer of TOML
  DataSpec data;
  TokenizerSpec tokenizer;
  AutoencoderSpec autoencoder;
  ModelSpec model;
  TrainSpec train;
  CheckpointSpec checkpoint;
  EvalSpec eval;
  LaunchSpec launch;
  bool operator==(const JobSpec&) const = default;
};

// Reads and checks a job file. Every failure is kInvalidArgument (kNotFound: no such file) and
// reads "FILE:LINE: KEY: what is wrong; what to do": a TOML error, an unknown key (with the nearest
// valid one), a wrong type, a value out of range, a value at odds with another, a source file
// that is missing or empty. All errors found are reported, one a line.
absl::StatusOr<JobSpec> LoadJobSpec(const std::string& path);

// The same for text; `file_name` is for messages, `base_dir` for relative paths.
// Missing source files are an error only when `check_files`.
absl::StatusOr<JobSpec> ParseJobSpec(std::string_view toml, const std::string& file_name,
                                     const std::string& base_dir, bool check_files);

// Warnings about choices that are allowed but rarely intended, a sentence each.
std::vector<std::string> Warnings(const JobSpec& spec);

// The resolved spec as TOML that ParseJobSpec reads back to an equal spec.
std::string ToToml(const JobSpec& spec);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_JOB_SPEC_H_
