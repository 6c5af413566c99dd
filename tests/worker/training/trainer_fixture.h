// Runs whole trainings of a small trainee with ranks that are threads, and stops or spoils them.
#ifndef HALCYON_TESTS_WORKER_TRAINING_TRAINER_FIXTURE_H_
#define HALCYON_TESTS_WORKER_TRAINING_TRAINER_FIXTURE_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/in_process_gang.h"
#include "tests/worker/training/toy_trainee.h"
#include "worker/training/trainer.h"

namespace halcyon::worker {

class RecordingListener : public TrainerListener {
 public:
  explicit RecordingListener(uint64_t stop_at) : stop_at_(stop_at) {}
  void StopIn(const std::string& phase) { stop_in_ = phase; }
  void OnProgress(uint64_t, const nlohmann::json& figures) override { figures_.push_back(figures); }
  bool StopRequested() override {
    const cluster::Activity now = progress_.Now();
    const bool in_step = now.phase != "evaluating" && now.step == static_cast<int64_t>(stop_at_);
    stop_ = stop_ || (stop_at_ > 0 && in_step) || (!stop_in_.empty() && now.phase == stop_in_);
    return stop_;
  }
  cluster::WorkProgress* progress() { return &progress_; }
  const std::vector<nlohmann::json>& figures() const { return figures_; }

 private:
  uint64_t stop_at_;
  bool stop_ = false;
  std::string stop_in_;
  std::vector<nlohmann::json> figures_;
  cluster::WorkProgress progress_;
};

struct Outcome {
  absl::Status status;             // of rank 0
  std::set<std::string> of_ranks;  // messages of all
  nlohmann::json result;
  std::vector<nlohmann::json> figures;
};

class TrainerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    root_ = ::testing::TempDir() + "trainer-" + info->name() + "-" + std::to_string(getpid());
    ASSERT_TRUE(Env::Posix()->RemoveTree(root_).ok());
    train_.steps = 12;
    train_.batch = 6;
    train_.learning_rate = 0.02;
    train_.warmup_steps = 3;
    options_.checkpoint = {.every = 4, .keep = 3};
    options_.seed = 5;
    options_.spec_toml = "name = \"toy\"\n";
    options_.assignment.stage = "model";
    options_.assignment.fingerprint = std::string(64, 'a');
    options_.assignment.claim = 1;
  }
  void TearDown() override { ASSERT_TRUE(Env::Posix()->RemoveTree(root_).ok()); }

  std::string WorkDir(const std::string& name) { return root_ + "/" + name; }

  Outcome Run(const std::string& work, int ranks, uint64_t stop_at = 0) {
    TrainerOptions options = options_;
    options.assignment.work_dir = WorkDir(work);
    EXPECT_TRUE(Env::Posix()->CreateDirs(options.assignment.work_dir + "/checkpoints").ok());
    // As the coordinator does before it launches a gang.
    storage::CheckpointStore store(*env_, options.assignment.work_dir + "/checkpoints");
    EXPECT_TRUE(store.Fence({options.assignment.claim, options.assignment.launch}).ok() ||
                absl::IsAborted(store.Fence({1})));
    Outcome outcome;
    std::mutex mutex;
    const auto rank_main = [&](cluster::Collectives& collectives) {
      ToyTrainee toy(train_);
      if (fails_to_load_) toy.FailToLoad(*fails_to_load_);
      if (loads_wrong_ && collectives.rank() == ranks - 1) toy.LoadWrong(*loads_wrong_);
      if (gives_nan_ && collectives.rank() == ranks - 1) toy.GiveNaN(*gives_nan_);
      RecordingListener listener(stop_at);
      if (collectives.rank() == ranks - 1) listener.StopIn(stop_in_);
      TrainerOptions of_rank = options;
      of_rank.progress = listener.progress();
      Trainer trainer(of_rank, &toy, &collectives, &listener, env_, Clock::Real());
      const auto result = trainer.Run();
      const std::lock_guard lock(mutex);
      outcome.of_ranks.insert(MessageOf(result.status()));
      if (collectives.rank() != 0) return;
      outcome.status = result.status();
      if (result.ok()) outcome.result = *result;
      outcome.figures = listener.figures();
    };
    cluster::RunInProcessGang(ranks, rank_main, ranks_per_node_);
    return outcome;
  }

  std::string root_;
  Env* env_ = Env::Posix();                // of the checkpoints and of what is made
  int ranks_per_node_ = 0;                 // all on one
  std::optional<uint64_t> fails_to_load_;  // a step
  std::optional<uint64_t> loads_wrong_;    // a step of the last rank
  std::optional<uint64_t> gives_nan_;      // likewise
  std::string stop_in_;  // a phase in which the last rank is told to stop; the others are not
  jobs::TrainSpec train_;
  TrainerOptions options_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_TESTS_WORKER_TRAINING_TRAINER_FIXTURE_H_
