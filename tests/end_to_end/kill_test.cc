// Kill -9 at chosen moments: the same command goes on from what was committed, and the weights are
// bit for bit those of an uninterrupted run.
#include <gtest/gtest.h>

#include <set>

#include "base/clock.h"
#include "base/env.h"
#include "storage/home.h"
#include "tests/end_to_end/small_job.h"

namespace halcyon {
namespace {

// In the order of a run, so that all happen to one state folder, one after the other.
constexpr const char* kPoints[] = {
    "agent tokenizer",
    "agent tokens/1",
    "coordinator ingest tokens/2",
    "coordinator install tokens",
    "rank 1 autoencoder step 7",
    "rank 0 writes model.safetensors",
    "coordinator install autoencoder",
    "agent latents/1",
    "coordinator ingest latents/2",
    "rank 0 model step 6@parent",  // mpirun
    "rank 0 model commit 8",
    "coordinator progress model",
    "agent eval",
};
// A run survives the death of agents and ranks, which it starts again, but not its own.
constexpr int kCoordinatorDeaths = 5;

std::map<std::string, std::string> FaultsUnder(const std::string& root) {
  std::string points;
  for (const char* point : kPoints) points += std::string(points.empty() ? "" : ";") + point;
  return {{"HALCYON_FAULT_POINT", points}, {"HALCYON_FAULT_MARKER", root + "/fault"}};
}

TEST(KillTest, WeightsAreThoseOfAnUninterruptedRun) {
  SmallJob whole("kill-whole");
  const RunResult uninterrupted = whole.Run();
  ASSERT_TRUE(uninterrupted.status.ok()) << uninterrupted.output;

  SmallJob job("kill-parts");
  RunResult result;
  int deaths = -1;
  do {
    ++deaths;
    ASSERT_LE(deaths, kCoordinatorDeaths) << result.output;
    result = job.Run(FaultsUnder(job.root()));
    if (!result.status.ok()) {
      EXPECT_EQ(result.status.signal, 9) << result.output;
    }
  } while (!result.status.ok());
  EXPECT_EQ(deaths, kCoordinatorDeaths);
  for (size_t i = 0; i < std::size(kPoints); ++i) {
    EXPECT_TRUE(Env::Posix()->Exists(job.root() + "/fault-" + std::to_string(i)))
        << kPoints[i] << " was not reached";
  }
  EXPECT_EQ(job.WeightsOf("autoencoder"), whole.WeightsOf("autoencoder"));
  EXPECT_EQ(job.WeightsOf("model"), whole.WeightsOf("model"));
}

std::set<std::string> SharedMemory() {
  const auto names = Env::Posix()->ListDir("/dev/shm");
  return names.ok() ? std::set<std::string>(names->begin(), names->end()) : std::set<std::string>();
}

// In the other precision and sharding; and a rank may stop without dying.
TEST(KillTest, InBFloat16TheyAreToo) {
  const auto configure = [](SmallJob& job) {
    job.values()["model.head"] = "\"softmax\"";
    for (const char* key : {"model.noise_size", "model.head_layers", "model.samples"}) {
      job.values().erase(key);
    }
    job.values()["train.precision"] = "\"bfloat16\"";
    job.values()["launch.sharding"] = "\"gradient\"";
    job.Write();
  };
  SmallJob whole("kill-bfloat16-whole");
  configure(whole);
  const RunResult uninterrupted = whole.Run();
  ASSERT_TRUE(uninterrupted.status.ok()) << uninterrupted.output;
  SmallJob job("kill-bfloat16-parts");
  configure(job);
  const std::set<std::string> shared_before = SharedMemory();
  const RunResult killed =
      job.Run({{"HALCYON_FAULT_POINT",
                "rank 1 model step 6;rank 0 model commit 12;rank 1 model step 14@stop"},
               {"HALCYON_FAULT_MARKER", job.root() + "/fault"}});
  ASSERT_TRUE(killed.status.ok()) << killed.output;
  EXPECT_NE(killed.output.find("model-rank-1 stopped sending"), std::string::npos) << killed.output;
  EXPECT_NE(killed.output.find("but is stopped: SIGSTOP"), std::string::npos) << killed.output;
  EXPECT_EQ(SharedMemory(), shared_before);
  for (const char* marker : {"/fault-0", "/fault-1", "/fault-2"}) {
    EXPECT_TRUE(Env::Posix()->Exists(job.root() + marker)) << marker;
  }
  EXPECT_EQ(job.WeightsOf("model"), whole.WeightsOf("model"));
}

// The promise is 10 s; the lock is free when the last agent and rank have ended.
TEST(KillTest, WorkersEndByThemselvesWhenTheCoordinatorDies) {
  SmallJob job("kill-orphans");
  job.values()["launch.orphan_grace_s"] = "0";
  job.Write();
  const RunResult result = job.Run({{"HALCYON_FAULT_POINT", "coordinator progress model"}});
  ASSERT_EQ(result.status.signal, 9) << result.output;
  const auto jobs = Env::Posix()->ListDir(job.home() + "/jobs");
  ASSERT_TRUE(jobs.ok() && jobs->size() == 1u);
  const std::string alive = job.home() + "/jobs/" + jobs->front() + "/alive";
  const auto free = [&] {
    const auto lock = storage::FileLock::TryAcquire(alive, storage::FileLock::Mode::kExclusive);
    return lock.ok() && *lock != nullptr;
  };
  EXPECT_TRUE(Clock::Real()->WaitFor(free, 10000));
}

}  // namespace
}  // namespace halcyon
