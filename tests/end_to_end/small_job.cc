#include "tests/end_to_end/small_job.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/env.h"
#include "base/philox.h"

namespace halcyon {
namespace {

constexpr int64_t kRunTimeoutMs = 180000;
constexpr int kEntries = 700;

}  // namespace

std::string RunResult::OutputWithoutInputs() const {
  if (!output.starts_with("using ")) return output;
  return output.substr(output.find('\n') + 1);
}

SmallJob::SmallJob(const std::string& name)
    : root_(testing::TempDir() + "halcyon-" + name + "-" + std::to_string(getpid())) {
  values_ = {{"name", "\"small\""},
             {"seed", "3"},
             {"data.sources", "[\"corpus.txt\"]"},
             {"data.documents", "\"entries\""},
             {"data.heldout", "0.1"},
             {"data.shard_bytes", "16384"},
             {"tokenizer.vocab_size", "300"},
             {"autoencoder.chunk_size", "4"},
             {"autoencoder.latent_size", "8"},
             {"autoencoder.hidden_size", "32"},
             {"autoencoder.intermediate_size", "48"},
             {"autoencoder.init", "\"fan_in\""},
             {"autoencoder.init_std", "0.5"},
             {"autoencoder.train.steps", "20"},
             {"autoencoder.train.batch", "64"},
             {"autoencoder.train.learning_rate", "5e-3"},
             {"autoencoder.train.warmup_steps", "2"},
             {"model.hidden_size", "32"},
             {"model.intermediate_size", "48"},
             {"model.layers", "2"},
             {"model.attention_heads", "2"},
             {"model.head_layers", "1"},
             {"model.noise_size", "16"},
             {"model.window_chunks", "16"},
             {"model.samples", "4"},
             {"model.init", "\"fan_in\""},
             {"model.init_std", "0.5"},
             {"train.steps", "16"},
             {"train.batch", "5"},
             {"train.learning_rate", "2e-3"},
             {"train.warmup_steps", "2"},
             {"checkpoint.every", "4"},
             {"eval.every", "8"},
             {"eval.windows", "2"},
             {"eval.final_windows", "4"},
             {"eval.samples", "2"},
             {"eval.bootstrap", "50"},
             {"eval.continuations", "1"},
             {"eval.prompt_chunks", "2"},
             {"eval.continuation_chunks", "4"},
             {"eval.temperature_samples", "8"},
             {"launch.ranks", "2"},
             {"launch.threads", "1"},
             {"launch.agents", "2"}};
  Env& env = *Env::Posix();
  EXPECT_TRUE(env.RemoveTree(root_).ok());
  EXPECT_TRUE(env.CreateDirs(root_).ok());
  WriteCorpus();
  Write();
}

SmallJob::~SmallJob() {
  if (testing::Test::HasFailure()) {
    std::fprintf(stderr, "kept for inspection: %s\n", root_.c_str());
    return;
  }
  EXPECT_TRUE(Env::Posix()->RemoveTree(root_).ok());
}

void SmallJob::WriteCorpus() {
  static constexpr const char* kWords[] = {
      "river", "stone", "a",    "the",  "of", "small", "vessel", "bright", "to",    "carry",
      "water", "any",   "kind", "that", "is", "used",  "for",    "old",    "light", "house"};
  const PhiloxStream random(1, NoiseStream::kEvaluation, 0, 0);
  std::string text;
  uint64_t next = 0;
  for (int entry = 0; entry < kEntries; ++entry) {
    text += "\nword" + std::to_string(entry) + ", n. [Obs.]\n   ";
    const uint64_t words = 6 + random.Below(next++, 14);
    for (uint64_t i = 0; i < words; ++i) {
      text += std::string(kWords[random.Below(next++, std::size(kWords))]) + " ";
    }
    text += "\n";
  }
  ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), root_ + "/corpus.txt", text).ok());
}

void SmallJob::Write() {
  std::map<std::string, std::map<std::string, std::string>> sections;
  for (const auto& [path, value] : values_) {
    const size_t dot = path.rfind('.');
    if (dot == std::string::npos) {
      sections[""][path] = value;
    } else {
      sections[path.substr(0, dot)][path.substr(dot + 1)] = value;
    }
  }
  std::string toml;
  for (const auto& [section, keys] : sections) {
    if (!section.empty()) toml += "\n[" + section + "]\n";
    for (const auto& [key, value] : keys) toml += key + " = " + value + "\n";
  }
  ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), job_file(), toml).ok());
}

cluster::ProcessOptions SmallJob::Command(const std::vector<std::string>& args,
                                          const std::map<std::string, std::string>& env) {
  cluster::ProcessOptions options;
  options.argv = {std::string(HALCYON_BIN_DIR) + "/halcyon", "--home", home()};
  options.argv.insert(options.argv.end(), args.begin(), args.end());
  options.env = env;
  options.output_path = root_ + "/output-" + std::to_string(outputs_++) + ".txt";
  return options;
}

RunResult SmallJob::Halcyon(const std::vector<std::string>& args,
                            const std::map<std::string, std::string>& env) {
  return Finish(Command(args, env));
}

RunResult SmallJob::HalcyonRedirected(const std::string& redirection,
                                      const std::vector<std::string>& args) {
  cluster::ProcessOptions options = Command(args, {});
  const std::string line = "exec \"$@\" " + redirection;
  options.argv.insert(options.argv.begin(), {"sh", "-c", line, "sh"});
  return Finish(options);
}

RunResult SmallJob::Finish(const cluster::ProcessOptions& options) {
  auto child = cluster::ChildProcess::Spawn(options);
  EXPECT_TRUE(child.ok()) << child.status();
  RunResult result;
  std::optional<cluster::ExitStatus> status;
  EXPECT_TRUE(Clock::Real()->WaitFor([&] { return (status = (*child)->Poll()).has_value(); },
                                     kRunTimeoutMs))
      << "still running: " << options.argv.back();
  if (status) result.status = *status;
  if (const auto output = Env::Posix()->ReadFile(options.output_path); output.ok()) {
    result.output = *output;
  }
  return result;
}

RunResult SmallJob::Run(const std::map<std::string, std::string>& env) {
  return Halcyon({"run", job_file()}, env);
}

std::unique_ptr<cluster::ChildProcess> SmallJob::Start(
    const std::map<std::string, std::string>& env) {
  return StartHalcyon({"run", job_file()}, env);
}

std::unique_ptr<cluster::ChildProcess> SmallJob::StartHalcyon(
    const std::vector<std::string>& args, const std::map<std::string, std::string>& env) {
  auto child = cluster::ChildProcess::Spawn(Command(args, env));
  EXPECT_TRUE(child.ok()) << child.status();
  return *std::move(child);
}

std::string SmallJob::ArtifactOf(const std::string& stage) {
  const std::string folder = home() + "/artifacts/" + stage;
  const auto names = Env::Posix()->ListDir(folder);
  EXPECT_TRUE(names.ok() && names->size() == 1u) << folder;
  return names.ok() && !names->empty() ? folder + "/" + names->front() : "";
}

std::string SmallJob::WeightsOf(const std::string& stage) {
  const auto digest = Sha256OfFile(ArtifactOf(stage) + "/model.safetensors");
  EXPECT_TRUE(digest.ok()) << digest.status();
  return digest.ok() ? *digest : "";
}

nlohmann::json SmallJob::Status() {
  const RunResult result = Halcyon({"status", "--json"});
  return nlohmann::json::parse(result.output, nullptr, /*allow_exceptions=*/false);
}

}  // namespace halcyon
