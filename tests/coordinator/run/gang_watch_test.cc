// Heartbeats of a gang in, verdicts out.
#include "coordinator/run/gang_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace halcyon::coordinator {
namespace {

using cluster::Activity;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr HangLimits kLimits{.floor_ms = 10'000, .factor = 4};

TEST(PhasePast, LearnsHowLongAPhaseLasts) {
  PhasePast past(kLimits);
  EXPECT_EQ(past.LimitMs("saving"), 60'000) << "nothing is known of it";
  EXPECT_FALSE(past.Hangs("saving", 60'000));
  EXPECT_TRUE(past.Hangs("saving", 60'001));
  past.Ended("saving", 300);
  EXPECT_EQ(past.LimitMs("saving"), 10'000);
  past.Ended("saving", 20'000);
  past.Ended("saving", 300);
  EXPECT_EQ(past.LimitMs("saving"), 80'000);
  EXPECT_EQ(past.LimitMs("forward"), 60'000);
  // What was long once is forgotten when enough has been short since.
  for (int i = 0; i < 3000; ++i) past.Ended("saving", 300);
  EXPECT_EQ(past.LimitMs("saving"), 10'000);
}

TEST(PhasePast, NothingHangsWithoutAFloor) {
  PhasePast past({.floor_ms = 0, .factor = 4});
  past.Ended("saving", 1);
  EXPECT_FALSE(past.Hangs("saving", int64_t{1} << 40));
}

TEST(PhaseReader, TellsWhatHasEnded) {
  PhasePast past(kLimits);
  PhaseReader reader;
  reader.Take({.phase = "saving", .advances = 1, .age_ms = 5'000}, "saving", &past);
  reader.Take({.phase = "saving", .advances = 1, .age_ms = 25'000}, "saving", &past);
  EXPECT_EQ(past.LongestMs("saving"), -1) << "it lasts";
  reader.Take({.phase = "saving", .advances = 2, .age_ms = 10}, "saving", &past);
  EXPECT_EQ(past.LongestMs("saving"), 25'000) << "it has gone on within the phase";
  reader.Take({.phase = "forward", .advances = 3, .age_ms = 2}, "forward", &past);
  EXPECT_EQ(past.LongestMs("forward"), -1);
}

class GangWatchTest : public ::testing::Test {
 protected:
  explicit GangWatchTest(uint32_t ranks = 3) : beats_(ranks) {
    watch_.Begin(ranks);
    for (uint32_t rank = 0; rank < ranks; ++rank) {
      cluster::Hello hello{"rank", "model", rank, 1, 2, "boot"};
      hello.host = rank < 2 ? "a" : "b";
      watch_.OnHello(Id(rank), hello);
      beats_[rank].worker = Id(rank);
      beats_[rank].activity = {.phase = "forward", .what = "block.1", .step = 0};
    }
    // Every phase has a past of nearly no time.
    for (const char* phase : {"forward", "backward", "collective", "saving", "forward"}) {
      for (WorkerBeat& beat : beats_) {
        beat.activity.phase = phase;
        ++beat.activity.advances;
      }
      Beat();
    }
  }

  static WorkerId Id(uint32_t rank) { return {"model-rank-" + std::to_string(rank), 1}; }
  void Beat() { watch_.Take(beats_); }
  Activity& Of(uint32_t rank) { return beats_[rank].activity; }
  // The rank waits in collective `number`, having started it.
  void Waits(uint32_t rank, uint64_t number, int64_t age_ms) {
    Of(rank) = {.phase = "collective",
                .what = "all-gather of block.3",
                .step = 7,
                .advances = 100,
                .age_ms = age_ms,
                .collectives = number,
                .collective = number};
  }
  void Computes(uint32_t rank, uint64_t collectives, int64_t age_ms) {
    Of(rank) = {.phase = "backward",
                .what = "block.3",
                .step = 7,
                .advances = 100,
                .age_ms = age_ms,
                .collectives = collectives};
  }
  std::string HangNow() {
    Beat();
    const auto hang = watch_.FindHang();
    return hang ? hang->why : "";
  }
  Verdict VerdictOf(size_t rank) { return watch_.Health().at(rank).verdict; }

  GangWatch watch_{kLimits};
  std::vector<WorkerBeat> beats_;
};

TEST_F(GangWatchTest, ARankThatDoesNotComeToACollectiveHangsAndThoseThatWaitDoNot) {
  Waits(0, 917, 20'000);
  Computes(1, 916, 9'000);
  Waits(2, 917, 21'000);
  EXPECT_EQ(HangNow(), "") << "those that wait have no limit of their own";
  Of(1).age_ms = 10'001;
  EXPECT_EQ(
      HangNow(),
      "rank 1 on a is stuck in step 7: backward block.3, for 10 s (at most 10 s are expected)");
  EXPECT_EQ(watch_.FindHang()->host, "a");
  EXPECT_EQ(VerdictOf(0), Verdict::kWaiting);
  EXPECT_EQ(VerdictOf(1), Verdict::kStuck);
  const WorkerHealth waiting = watch_.Health()[2];
  EXPECT_EQ(waiting, (WorkerHealth{.worker = "model-rank-2",
                                   .rank = 2,
                                   .host = "b",
                                   .pid = 1,
                                   .start_time = 2,
                                   .step = 7,
                                   .phase = "all-gather of block.3, number 917",
                                   .waits_for = "rank 1",
                                   .age_ms = 21'000,
                                   .verdict = Verdict::kWaiting}));
}

// Rank 0 saves, for the first time, and the others wait for it for longer than they ever did.
TEST_F(GangWatchTest, AFirstLongPhaseOfOneRankIsNoHangOfTheOthers) {
  Of(0) = {.phase = "evaluating", .step = 7, .advances = 9, .age_ms = 55'000, .collectives = 50};
  Waits(1, 51, 55'000);
  Waits(2, 51, 55'000);
  EXPECT_EQ(HangNow(), "");
  Of(0).age_ms = 60'001;
  EXPECT_THAT(HangNow(), HasSubstr("rank 0 on a is stuck in step 7: evaluating, for 60 s"));
  // It ended after all; the next one may last four times as long.
  Of(0).age_ms = 0;
  ++Of(0).advances;
  Beat();
  Of(0).age_ms = 240'000;
  EXPECT_EQ(HangNow(), "");
  Of(0).age_ms = 240'005;
  EXPECT_THAT(HangNow(), HasSubstr("at most 240 s"));
}

TEST_F(GangWatchTest, WhenAllHaveComeItIsTheNetwork) {
  for (uint32_t rank = 0; rank < 3; ++rank) Waits(rank, 917, 9'999);
  EXPECT_EQ(HangNow(), "");
  for (uint32_t rank = 0; rank < 3; ++rank) Waits(rank, 917, 12'000);
  Of(1).collective = 916;  // the others have ended it
  EXPECT_EQ(HangNow(),
            "the network between the ranks does not work: rank 1 on a is in step 7: all-gather of "
            "block.3, number 916, for 12 s, to which all ranks have come");
  EXPECT_EQ(watch_.FindHang()->host, "");
  Of(2).age_ms = 100;
  EXPECT_EQ(HangNow(), "") << "one has gone on a moment ago";
}

// The thread of a GPU's rank goes on while its device waits for others.
TEST_F(GangWatchTest, ARankWhoseDeviceWaitsForAnotherDoesNotHang) {
  Computes(0, 930, 20'000);
  Of(0).collective = 917;
  Computes(1, 916, 5'000);
  Waits(2, 917, 20'000);
  EXPECT_EQ(HangNow(), "");
  EXPECT_EQ(VerdictOf(0), Verdict::kWaiting);
  EXPECT_EQ(watch_.Health()[0].waits_for, "rank 1");
  Of(1).collectives = 917;
  EXPECT_THAT(HangNow(), HasSubstr("rank 0 on a is stuck"));
}

TEST_F(GangWatchTest, NoneHangsWhileARankHasNotComeUpOrDoesNotSend) {
  Computes(0, 3, 70'000);
  EXPECT_THAT(HangNow(), HasSubstr("rank 0"));
  beats_[1].silent_ms = kSilentMsMin;
  EXPECT_EQ(HangNow(), "") << "a rank that may be gone is the cause";
  beats_[1].silent_ms = 0;
  watch_.Begin(3);
  EXPECT_EQ(HangNow(), "");
  EXPECT_THAT(watch_.Health(), IsEmpty());
}

TEST_F(GangWatchTest, TellsStoppedCutOffAndSilentApart) {
  beats_[0].silent_ms = 6000;
  Beat();
  EXPECT_EQ(VerdictOf(0), Verdict::kSilent) << "rank 1 of its machine sends";
  EXPECT_EQ(watch_.WhySilent(Id(0)), "");
  beats_[0].is_stopped = true;
  Beat();
  EXPECT_EQ(VerdictOf(0), Verdict::kStopped);
  EXPECT_THAT(watch_.WhySilent(Id(0)), HasSubstr("its process exists on a, but is stopped"));
  beats_[0].is_stopped = false;
  beats_[1].silent_ms = 5000;
  Beat();
  EXPECT_EQ(VerdictOf(0), Verdict::kCutOff);
  EXPECT_EQ(VerdictOf(1), Verdict::kCutOff);
  EXPECT_EQ(watch_.Health()[0].age_ms, 6000);
  EXPECT_THAT(watch_.WhySilent(Id(0)), HasSubstr("nothing comes from any of the 2 ranks on a"));
  beats_[2].silent_ms = 5000;
  Beat();
  EXPECT_EQ(VerdictOf(0), Verdict::kSilent) << "from no machine";
}

TEST_F(GangWatchTest, ARankThatTheOthersAlwaysWaitForIsSlow) {
  const auto pass = [&](int slow_share) {  // of 10 beats
    for (int beat = 0; beat < kSlowBeats; ++beat) {
      for (uint32_t rank = 0; rank < 3; ++rank) {
        const int share = rank == 2 ? slow_share : 3;
        if (beat % 10 < share) {
          Computes(rank, 5, 10);
        } else {
          Waits(rank, 6, 10);
        }
        Of(rank).advances = 1000 + static_cast<uint64_t>(beat);
      }
      Beat();
    }
  };
  pass(3);
  watch_.TakeSlow();
  pass(5);
  EXPECT_THAT(watch_.TakeSlow(), IsEmpty());
  pass(9);
  const auto slow = watch_.TakeSlow();
  ASSERT_EQ(slow.size(), 1u);
  EXPECT_THAT(slow[0], HasSubstr("rank 2 on b is slow: it computes "));
  Computes(2, 5, 10);
  Beat();
  EXPECT_EQ(VerdictOf(2), Verdict::kSlow);
  pass(9);
  EXPECT_THAT(watch_.TakeSlow(), IsEmpty()) << "it was told";
  pass(3);
  EXPECT_EQ(VerdictOf(2), Verdict::kWaiting);
}

TEST_F(GangWatchTest, ARankThatHasEndedIsNotLookedAt) {
  Computes(1, 3, 70'000);
  watch_.OnEnded(Id(1));
  EXPECT_EQ(HangNow(), "");
  EXPECT_EQ(watch_.Health().size(), 2u);
  EXPECT_EQ(watch_.ranks_by_host(), (std::map<std::string, size_t>{{"a", 2}, {"b", 1}}));
}

}  // namespace
}  // namespace halcyon::coordinator
