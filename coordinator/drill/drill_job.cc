#include "coordinator/drill/drill_job.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <iterator>

#include "base/clock.h"
#include "base/digest.h"
#include "base/philox.h"

namespace halcyon::coordinator {
namespace {

constexpr int kDrillEntries = 15000;
constexpr uint64_t kDrillSeed = 11;
constexpr const char* kDrillWords[] = {
    "river", "stone", "a",    "the",  "of", "small", "vessel", "bright", "to",    "carry",
    "water", "any",   "kind", "that", "is", "used",  "for",    "old",    "light", "house"};

// Checkpoints lie 100 steps apart, and the fault comes between two of them.
constexpr char kDrillJob[] = R"(seed = 3

[data]
sources = ["corpus.txt"]
documents = "entries"
heldout = 0.1
shard_bytes = 65536

[tokenizer]
vocab_size = 300

[autoencoder]
latent_size = 8
hidden_size = 32
intermediate_size = 48

[autoencoder.train]
steps = 20
batch = 64
warmup_steps = 2

[model]
hidden_size = 32
intermediate_size = 48
layers = 2
attention_heads = 2
head_layers = 1
noise_size = 16
window_chunks = 16
samples = 4

[train]
steps = 1000
batch = 8
warmup_steps = 2

[checkpoint]
every = 100

[eval]
final_windows = 4
samples = 2
bootstrap = 50
continuations = 0

[launch]
device = "cpu"
ranks = 2
agents = 2
)";
constexpr char kDrillSlurm[] = R"(
[launch.slurm]
nodes = 2
time = "30"
)";

std::string DrillTimeText(int64_t wall_ms) {
  return fmt::format("{:%Y%m%d-%H%M%S}", fmt::gmtime(static_cast<std::time_t>(wall_ms / 1000)));
}

}  // namespace

std::string DrillText() {
  const PhiloxStream random(kDrillSeed, NoiseStream::kEvaluation, 0, 0);
  std::string text;
  uint64_t next = 0;
  for (int entry = 0; entry < kDrillEntries; ++entry) {
    text += "\nword" + std::to_string(entry) + ", n.\n   ";
    const uint64_t words = 6 + random.Below(next++, 14);
    for (uint64_t i = 0; i < words; ++i) {
      text += std::string(kDrillWords[random.Below(next++, std::size(kDrillWords))]) + " ";
    }
    text += "\n";
  }
  return text;
}

std::string DrillJobText(const std::string& name, DrillPlace place) {
  return "name = \"" + name + "\"\n" + kDrillJob + (place == DrillPlace::kSlurm ? kDrillSlurm : "");
}

absl::StatusOr<DrillFolder> MakeDrillFolder(Env& env, const std::string& home_root) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, storage::OpenHome(home_root));
  const DrillFolder folder{
      JoinPath(JoinPath(home.root, "drill"),
               DrillTimeText(Clock::Real()->WallMs()) + "-" + std::to_string(getpid()))};
  RETURN_IF_ERROR(env.CreateDirs(folder.root));
  RETURN_IF_ERROR(WriteFileAtomically(env, JoinPath(folder.root, "corpus.txt"), DrillText()));
  RETURN_IF_ERROR(storage::OpenHome(folder.home().root).status());
  // What the operator says about the cluster holds for the drill's state folder, too.
  const std::string cluster_file = JoinPath(home.root, "cluster.toml");
  if (!env.Exists(cluster_file)) return folder;
  ASSIGN_OR_RETURN(const std::string text, env.ReadFile(cluster_file));
  RETURN_IF_ERROR(WriteFileAtomically(env, JoinPath(folder.home().root, "cluster.toml"), text));
  return folder;
}

absl::Status RemoveStages(Env& env, const storage::HomeLayout& home,
                          const std::vector<jobs::StageKind>& kinds) {
  for (const jobs::StageKind kind : kinds) {
    const std::string name(jobs::StageName(kind));
    for (const std::string& folder : {home.ArtifactsOf(name), DirName(home.Work(name, "any"))}) {
      if (!env.Exists(folder)) continue;
      const bool is_work = folder != home.ArtifactsOf(name);
      ASSIGN_OR_RETURN(const std::vector<std::string> entries, env.ListDir(folder));
      for (const std::string& entry : entries) {
        if (is_work && !entry.starts_with(name + "-")) continue;
        RETURN_IF_ERROR(env.RemoveTree(JoinPath(folder, entry)));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> DigestOfWeights(Env& env, const storage::HomeLayout& home,
                                            const JobStatus& job) {
  const StageStatus* model = job.Find(jobs::StageKind::kModel);
  if (model == nullptr || model->fingerprint.empty()) return NotFound("the job has no model");
  const std::string folder = home.Artifact("model", model->fingerprint);
  if (!env.Exists(folder)) return NotFound("the job has no finished model");
  ASSIGN_OR_RETURN(std::vector<std::string> names, env.ListDir(folder));
  std::sort(names.begin(), names.end());
  Sha256 digest;
  bool has_weights = false;
  for (const std::string& name : names) {
    if (!name.ends_with(".safetensors")) continue;
    ASSIGN_OR_RETURN(const std::string of_file, Sha256OfFile(JoinPath(folder, name)));
    digest.Update(name + " " + of_file + "\n");
    has_weights = true;
  }
  if (!has_weights) return NotFound("no weights in " + folder);
  return digest.HexDigest();
}

}  // namespace halcyon::coordinator
