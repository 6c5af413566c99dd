// A job over a state folder, with the real journal, caches and artifacts, and a fake cluster.
#ifndef HALCYON_TESTS_COORDINATOR_COORDINATOR_FIXTURE_H_
#define HALCYON_TESTS_COORDINATOR_COORDINATOR_FIXTURE_H_

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/coordinator.h"
#include "coordinator/processes/recovery.h"
#include "tests/coordinator/fake_cluster.h"

namespace halcyon::coordinator {

class CoordinatorTest : public testing::Test, public JobObserver {
 protected:
  CoordinatorTest() {
    spdlog::set_level(spdlog::level::off);
    static int number = 0;
    root_ = testing::TempDir() + "halcyon-job-" + std::to_string(getpid()) + "-" +
            std::to_string(number++);
    EXPECT_TRUE(env_.RemoveTree(root_).ok());
    home_ = *storage::OpenHome(JoinPath(root_, "home"));
    std::string corpus;
    for (int i = 0; i < 300; ++i) corpus += "line " + std::to_string(i) + " of the text\n";
    EXPECT_TRUE(WriteFileAtomically(env_, JoinPath(root_, "corpus.txt"), corpus).ok());
  }
  ~CoordinatorTest() override { EXPECT_TRUE(env_.RemoveTree(root_).ok()); }

  // One run of the job over the state folder, as a process would make it.
  absl::Status Run(const std::string& more_toml = "") {
    const std::string toml = "name = \"t\"\n" + more_toml +
                             "\n[data]\nsources = [\"corpus.txt\"]\ndocuments = \"lines\"\n"
                             "shard_bytes = 1024\n[launch]\nranks = 2\nagents = " +
                             std::to_string(agents_) +
                             "\n"
                             "restarts_max = 2\n[autoencoder]\nhidden_size = 64\n"
                             "[model]\nhidden_size = 64\nattention_heads = 2\nlayers = 1\n" +
                             model_toml_;
    JobContext context;
    auto spec = jobs::ParseJobSpec(toml, "t.toml", root_, /*check_files=*/true);
    EXPECT_TRUE(spec.ok()) << spec.status();
    context.spec = *std::move(spec);
    const auto owned = OwnJob(env_, home_, "t-1", clock_, [](const std::string&) {});
    EXPECT_TRUE(owned.ok()) << owned.status();
    std::vector<std::string> notes;
    const auto journal = storage::JobJournal::Begin(env_, home_.Journal("t-1"),
                                                    owned->incarnation().value(), &notes);
    EXPECT_TRUE(journal.ok()) << journal.status();
    LeaseKeeper leases;
    context.leases = &leases;
    context.owner_before = owned->before;
    context.env = &env_;
    context.clock = &clock_;
    context.journal = journal->get();
    context.transport = &cluster_;
    context.gang_launcher = &cluster_;
    context.agent_spawner = &cluster_;
    context.observer = this;
    context.stop_requests = [this] { return asks_to_stop_ ? cluster_.stops : 0; };
    context.cancelled = [this] { return cancelled_ && cluster_.stops > 0; };
    context.ends_at_ms = ends_at_ms_;
    context.free_room = [this](const std::string&) -> absl::StatusOr<DiskRoom> { return room_; };
    context.memory_limit = memory_limit_;
    context.home = home_;
    context.job = JobId("t-1");
    context.incarnation = owned->incarnation();
    context.remake_damaged = remake_damaged_;
    context.from_scratch = from_scratch_;
    context.until = until_;
    EXPECT_TRUE(env_.CreateDirs(home_.JobLogs("t-1")).ok());
    cluster_.SetIdentity(context.job, context.incarnation);
    cluster_.agent_log = JoinPath(home_.JobLogs("t-1"), "agent-0.log");
    cluster_.checks = 0;
    cluster_.leases.clear();
    cluster_.launches.clear();
    notices_.clear();
    EXPECT_TRUE(ArtifactStore(env_, home_).Repair(clock_).ok());
    Coordinator coordinator(&context);
    const auto artifacts = coordinator.Run();
    status_ = coordinator.status();
    recorded_ = (*journal)->history().job.state;
    return artifacts.status();
  }
  void Changed(const JobStatus&) override {}
  void Notify(std::string_view line) override { notices_ += std::string(line) + "\n"; }

  std::vector<jobs::StageKind> MadeStages() const {
    std::vector<jobs::StageKind> made;
    for (const StageStatus& stage : status_.stages) {
      if (stage.state == jobs::StageState::kDone) made.push_back(stage.kind);
    }
    return made;
  }
  std::string PlaceOf(jobs::StageKind kind) {
    return home_.Artifact(std::string(jobs::StageName(kind)), status_.Find(kind)->fingerprint);
  }
  size_t LeasesOf(const std::string& prefix) const {
    return std::count_if(cluster_.leases.begin(), cluster_.leases.end(),
                         [&](const std::string& task) { return task.starts_with(prefix); });
  }
  // Does `fault` at the first `times` leases of the task.
  void FailLease(const std::string& task, FakeCluster::Fault fault, int times = 1) {
    cluster_.on_lease = [=, left = times](const cluster::Lease& lease) mutable {
      const bool now = lease.task == task && left-- > 0;
      return now ? std::optional(fault) : std::nullopt;
    };
  }
  // The folder of the tokens' unfinished cache, with the shards that were done.
  std::string StopBeforeShard3() {
    FailLease("tokens/3", FakeCluster::Fault::kStopJob);
    EXPECT_TRUE(absl::IsAborted(Run()));
    cluster_.stops = 0;
    cluster_.on_lease = nullptr;
    return JoinPath(cluster_.assignments.at("tokens").work_dir, "building");
  }

  int agents_ = 2;
  std::string model_toml_ = "window_chunks = 2\n";
  std::optional<MemoryLimit> memory_limit_;
  Env& env_ = *Env::Posix();
  SimulatedClock clock_{1000};
  FakeCluster cluster_{&clock_};
  std::string root_, notices_;
  std::string until_;
  DiskRoom room_{1ull << 40, 1 << 20};
  storage::HomeLayout home_;
  JobStatus status_;
  jobs::JobState recorded_{};
  bool remake_damaged_ = false, from_scratch_ = false;
  bool asks_to_stop_ = true, cancelled_ = false;
  std::function<int64_t()> ends_at_ms_ = [] { return int64_t{0}; };
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_TESTS_COORDINATOR_COORDINATOR_FIXTURE_H_
