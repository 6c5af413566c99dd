// Jobs and commands on a GPU, with a simulated one in CUDA's place
// (tests/worker/simulated_gpu/simulated_gpu.h): its results are those of the CPU up to rounding,
// and whatever takes device memory for the host's crashes.
#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/end_to_end/small_job.h"

namespace halcyon {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::map<std::string, std::string> SimulatedGpus(int count) {
  return {{"HALCYON_WORKER", SIMULATED_GPU_WORKER},
          {"HALCYON_SIMULATED_GPUS", std::to_string(count)}};
}

std::vector<json> Metrics(const std::string& artifact) {
  std::ifstream file(artifact + "/metrics.jsonl");
  std::vector<json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
  return lines;
}

// What training computed, step by step.
void ExpectSameSteps(const std::vector<json>& gpu, const std::vector<json>& cpu, double tolerance) {
  ASSERT_EQ(gpu.size(), cpu.size());
  ASSERT_FALSE(gpu.empty());
  for (size_t i = 0; i < gpu.size(); ++i) {
    for (const char* name : {"loss", "grad_norm", "target", "spread", "cross_entropy", "kl"}) {
      if (!cpu[i].contains(name)) continue;
      const double expected = cpu[i][name], found = gpu[i].value(name, NAN);
      EXPECT_NEAR(found, expected, tolerance * std::abs(expected)) << name << " of line " << i;
    }
  }
}

// The line of the output that is an object.
json ObjectIn(const RunResult& result) {
  std::istringstream output(result.output);
  for (std::string line; std::getline(output, line);) {
    if (line.starts_with("{")) return json::parse(line);
  }
  ADD_FAILURE() << "no object in: " << result.output;
  return json::object();
}

// Of the last run; there may be models of others.
std::vector<json> ModelMetrics(SmallJob& job) {
  const json status = job.Status();
  for (const json& stage : status["stages"]) {
    if (stage["label"] != "model") continue;
    return Metrics(job.home() + "/artifacts/model/" +
                   stage["fingerprint"].get<std::string>().substr(0, 16));
  }
  return {};
}

class DeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    for (SmallJob* job : {&cpu_, &gpu_}) {
      job->values()["autoencoder.train.steps"] = "4";
      job->values()["train.steps"] = "4";
      job->values()["eval.every"] = "2";
      job->values()["checkpoint.every"] = "2";
      // Each operation of the simulation is a copy there and back.
      for (const char* few : {"eval.windows", "eval.final_windows", "eval.continuation_chunks"}) {
        job->values()[few] = "1";
      }
      job->values()["eval.temperature_samples"] = "4";
    }
  }

  void RunBoth() {
    cpu_.values()["launch.device"] = "\"cpu\"";
    gpu_.values()["launch.device"] = "\"cuda\"";
    cpu_.Write();
    gpu_.Write();
    const RunResult on_cpu = cpu_.Run(), on_gpu = gpu_.Run(SimulatedGpus(2));
    ASSERT_EQ(on_cpu.status.code, 0) << on_cpu.output;
    ASSERT_EQ(on_gpu.status.code, 0) << on_gpu.output;
  }

  SmallJob cpu_{"device-cpu"}, gpu_{"device-gpu"};
};

TEST_F(DeviceTest, AJobOnGpusGivesWhatTheCpuGives) {
  RunBoth();
  for (const char* stage : {"autoencoder", "model"}) {
    SCOPED_TRACE(stage);
    ExpectSameSteps(Metrics(gpu_.ArtifactOf(stage)), Metrics(cpu_.ArtifactOf(stage)), 1e-3);
    const json artifact = json::parse(std::ifstream(gpu_.ArtifactOf(stage) + "/artifact.json"));
    EXPECT_GT(artifact["facts"].value("memory_peak_bytes", 0), 0) << artifact["facts"];
  }
  // Commands on the finished job.
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"eval", "--windows", "2", "--json"},
        {"generate", "--texts", "2", "--tokens", "8", "--prompt", "The word", "--json"}}) {
    SCOPED_TRACE(command[0]);
    std::vector<std::string> on_gpu = command, on_cpu = command;
    on_gpu.insert(on_gpu.end(), {"--device", "cuda"});
    on_cpu.insert(on_cpu.end(), {"--device", "cpu"});
    const RunResult gpu = gpu_.Halcyon(on_gpu, SimulatedGpus(1)), cpu = gpu_.Halcyon(on_cpu);
    EXPECT_EQ(gpu.status.code, 0) << gpu.output;
    EXPECT_EQ(cpu.status.code, 0) << cpu.output;
    const json of_gpu = ObjectIn(gpu), of_cpu = ObjectIn(cpu);
    for (const char* name : {"heldout_loss", "reconstruction", "brier_lm"}) {
      if (!of_cpu.contains(name)) continue;
      EXPECT_NEAR(of_gpu.value(name, NAN), of_cpu[name].get<double>(), 1e-3) << name;
    }
    EXPECT_EQ(of_gpu.value("text", ""), of_cpu.value("text", ""));
  }
}

TEST_F(DeviceTest, EveryHeadTrainsOnAGpu) {
  using Values = std::map<std::string, std::string>;
  const std::vector<Values> jobs = {{{"model.head", "\"energy\""},
                                     {"model.target", "\"samples\""},
                                     {"train.precision", "\"bfloat16\""},
                                     {"autoencoder.train.precision", "\"bfloat16\""},
                                     {"data.encoding_precision", "\"bfloat16\""},
                                     {"launch.sharding", "\"gradient\""}},
                                    {{"model.head", "\"flow\""},
                                     {"model.input", "\"both\""},
                                     {"model.noise_size", ""},
                                     {"model.flow_steps", "2"}},
                                    {{"model.head", "\"diffusion\""},
                                     {"model.input", "\"continuous\""},
                                     {"model.diffusion_steps", "4"},
                                     {"model.noise_size", ""}},
                                    {{"model.head", "\"softmax\""},
                                     {"model.noise_size", ""},
                                     {"model.samples", ""},
                                     {"model.head_layers", ""},
                                     {"launch.recompute", "1"}}};
  const Values cpu_values = cpu_.values(), gpu_values = gpu_.values();
  for (const Values& job_values : jobs) {
    SCOPED_TRACE(job_values.at("model.head"));
    cpu_.values() = cpu_values;
    gpu_.values() = gpu_values;
    for (SmallJob* job : {&cpu_, &gpu_}) {
      for (const auto& [key, value] : job_values) {
        if (value.empty()) job->values().erase(key);
        if (!value.empty()) job->values()[key] = value;
      }
    }
    RunBoth();
    if (HasFatalFailure()) return;
    const bool is_rounded = job_values.contains("train.precision");
    ExpectSameSteps(ModelMetrics(gpu_), ModelMetrics(cpu_), is_rounded ? 0.05 : 2e-3);
  }
}

TEST_F(DeviceTest, AResumeOnAnotherDeviceNamesTheChange) {
  gpu_.values()["train.decay"] = "\"constant\"";
  gpu_.values()["launch.device"] = "\"cpu\"";
  gpu_.Write();
  const RunResult on_cpu = gpu_.Run();
  ASSERT_EQ(on_cpu.status.code, 0) << on_cpu.output;
  gpu_.values()["train.steps"] = "6";
  gpu_.values()["launch.device"] = "\"cuda\"";
  gpu_.Write();
  const RunResult on_gpu = gpu_.Run(SimulatedGpus(2));
  EXPECT_EQ(on_gpu.status.code, 0) << on_gpu.output;
  EXPECT_THAT(on_gpu.output, HasSubstr("model: goes on from step 4"));
  EXPECT_THAT(on_gpu.output,
              HasSubstr("device changed since the checkpoint (cpu -> simulated GPU)"));
}

TEST_F(DeviceTest, TooFewGpusAreAnErrorOrMeanTheCpu) {
  gpu_.values()["launch.device"] = "\"cuda\"";
  gpu_.Write();
  const RunResult refused = gpu_.Run(SimulatedGpus(1));
  EXPECT_NE(refused.status.code, 0);
  EXPECT_THAT(refused.output, HasSubstr("this machine has 1 GPU for 2 ranks, which take one each"));

  gpu_.values()["launch.device"] = "\"auto\"";
  gpu_.Write();
  const RunResult on_cpu = gpu_.Run(SimulatedGpus(1));
  EXPECT_EQ(on_cpu.status.code, 0) << on_cpu.output;
  EXPECT_THAT(on_cpu.output, HasSubstr("model: computes on the CPU: host "));
}

}  // namespace
}  // namespace halcyon
