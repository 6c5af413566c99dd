#include "worker/inputs/cache_copies.h"

#include <gmock/gmock.h>

#include <atomic>
#include <filesystem>
#include <mutex>

#include "cluster/in_process_gang.h"
#include "tests/storage/copies/copies_fixture.h"

namespace halcyon::worker {
namespace {

using ::testing::HasSubstr;

// Moved by the test, and by sleeping when asked to; who waits looks again soon.
class MovedClock : public Clock {
 public:
  int64_t MonotonicMs() const override { return now_ms_; }
  int64_t WallMs() const override { return now_ms_; }
  void SleepMs(int64_t duration_ms) override {
    if (sleep_moves_it_) Move(duration_ms);
    Clock::Real()->SleepMs(1);
  }
  void Move(int64_t duration_ms) { now_ms_ += duration_ms; }
  void LetSleepMoveIt() { sleep_moves_it_ = true; }

 private:
  std::atomic<bool> sleep_moves_it_ = false;
  std::atomic<int64_t> now_ms_ = 1000;
};

// A gang of two hosts, which have one disk: they are one machine.
class CacheCopiesTest : public storage::CopiesTest {
 protected:
  static constexpr int kRanks = 4, kRanksOfHost = 2;

  CacheCopiesTest() {
    Build(kShards);
    std::filesystem::create_directory(dir_.Path("artifact"));
    std::filesystem::rename(Generation(), dir_.Path("artifact/generation"));
    options_.clock = &clock_;
  }

  std::vector<std::string> SstsOfSource() {
    return storage::FilesEnding(dir_.Path("artifact/generation"), ".sst");
  }

  // All ranks copy; the notices of all, by rank.
  void Run(const std::function<bool(int rank)>& stop_requested = [](int) { return false; }) {
    cluster::RunInProcessGang(
        kRanks,
        [&](cluster::Collectives& collectives) {
          const int rank = collectives.rank();
          cluster::WorkProgress progress;
          const CopyingGang gang{&collectives, &progress, [&] { return stop_requested(rank); }};
          ArtifactInputs inputs{{{"tokens", dir_.Path("artifact")}}, {}};
          const auto notices = CopyCaches(gang, options_, &inputs);
          const std::lock_guard lock(mutex_);
          EXPECT_TRUE(notices.ok()) << notices.status();
          if (notices.ok() && !notices->empty()) notices_[rank] = *notices;
          inputs_.push_back(inputs);
        },
        kRanksOfHost);
  }

  // Through the artifact, as a stage does.
  static std::string Read(const ArtifactInputs& inputs) {
    auto artifact = OpenArtifact(inputs, "tokens");
    if (!artifact.ok()) return artifact.status().ToString();
    const auto cache = artifact->OpenCache();
    return cache.ok() ? ReadAll(**cache) : cache.status().ToString();
  }

  MovedClock clock_;
  std::mutex mutex_;
  std::map<int, std::vector<std::string>> notices_;
  std::vector<ArtifactInputs> inputs_;
};

TEST_F(CacheCopiesTest, EachRankReadsTheCopyOfItsHost) {
  Run();
  EXPECT_TRUE(notices_.empty());
  for (const std::string& sst : SstsOfSource()) std::filesystem::remove(sst);
  ASSERT_EQ(inputs_.size(), size_t{kRanks});
  for (const ArtifactInputs& inputs : inputs_) {
    EXPECT_EQ(inputs.copies.at("tokens")->dir(), inputs_[0].copies.at("tokens")->dir());
    EXPECT_EQ(Read(inputs), "");
  }
}

TEST_F(CacheCopiesTest, WithoutRoomTheFirstRankOfEachHostSaysWhy) {
  options_.free_room = [](const std::string&) { return DiskRoom{uint64_t{12} << 20, 1000}; };
  Run();
  ASSERT_EQ(notices_.size(), 2u);
  for (const int rank : {0, 2}) {
    ASSERT_EQ(notices_.at(rank).size(), 1u);
    EXPECT_THAT(notices_.at(rank)[0], HasSubstr("tokens are read from the state folder, not from"));
    EXPECT_THAT(notices_.at(rank)[0], HasSubstr("12 MiB are free"));
  }
  for (const ArtifactInputs& inputs : inputs_) EXPECT_EQ(Read(inputs), "");
}

TEST_F(CacheCopiesTest, AStopOfOneRankEndsTheCopyingOfAll) {
  // Time passes while a rank copies and while others wait for it, so that the ranks meet.
  clock_.LetSleepMoveIt();
  options_.free_room = [this](const std::string&) {
    clock_.Move(2000);
    return DiskRoom{uint64_t{1} << 40, 1000};
  };
  Run([](int rank) { return rank == 3; });
  EXPECT_TRUE(notices_.empty());
  EXPECT_TRUE(FilesOfCopies().empty());
  for (const ArtifactInputs& inputs : inputs_) {
    EXPECT_TRUE(inputs.copies.empty());
    EXPECT_EQ(Read(inputs), "");
  }
}

}  // namespace
}  // namespace halcyon::worker
