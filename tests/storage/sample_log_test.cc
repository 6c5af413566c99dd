#include "storage/sample_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/fuzz/sample_log_parser.h"
#include "tests/storage/power_cut_env.h"
#include "tests/testing/mutate.h"

namespace halcyon::storage {
namespace {

using ::testing::HasSubstr;

constexpr char kRoot[] = "/home/checkpoints", kOther[] = "/home/other";
constexpr WriterFence kFirst{1, 1}, kSecond{1, 2}, kThird{2, 1};

// Other digests for each launch and step.
StepSamples StepOf(const WriterFence& writer, uint64_t step) {
  StepSamples made{step, 8, {writer.launch, step}, {step, ~step}};
  if (writer == kFirst) return made;  // as an earlier version
  made.by_place = {{step, 2}, {step, 3}, {}};
  if (writer == kThird) return made;  // without latents
  made.latents = {4, step};
  made.by_place->latents = {5, step};
  return made;
}

// A log of a launch that makes steps after + 1 ... last.
absl::Status WriteLog(Env& env, const WriterFence& writer, uint32_t ranks, uint64_t after,
                      uint64_t last, std::optional<WriterFence> from = std::nullopt) {
  SampleLog log(env, kRoot);
  RETURN_IF_ERROR(log.Begin({writer, ranks, after, from}));
  for (uint64_t step = after + 1; step <= last; ++step) log.Add(StepOf(writer, step));
  return log.Sync();
}

std::string LogPath(const WriterFence& writer) {
  return std::string(kRoot) + "/samples/" + std::to_string(writer.claim) + "." +
         std::to_string(writer.launch);
}

// Of the checkpoint of step 8 that kSecond wrote.
CheckpointManifest StepEight(uint64_t sample_log_format = 0) {
  CheckpointManifest manifest;
  manifest.step = 8;
  manifest.world_size = 3;
  manifest.folder = CheckpointName(8, kSecond);
  manifest.sample_log_format = sample_log_format;
  return manifest;
}

// "1.2 of 3 ranks: 5-9; 2.1 of ...".
std::string Describe(const SampleLineage& lineage) {
  std::string text;
  for (const LineagePart& part : lineage.parts) {
    const SampleLaunch& launch = *part.launch;
    text += std::to_string(launch.writer.claim) + "." + std::to_string(launch.writer.launch) +
            " of " + std::to_string(launch.ranks) + ": " + std::to_string(part.first) + "-" +
            std::to_string(part.last) + "; ";
  }
  return text;
}

class SampleLogTest : public ::testing::Test {
 protected:
  SampleLogTest() { EXPECT_TRUE(env_.CreateDirs(kRoot).ok()); }
  SampleHistory Read() {
    auto history = ReadSampleLogs(env_, kRoot);
    EXPECT_TRUE(history.ok()) << history.status();
    return *std::move(history);
  }
  testing::PowerCutEnv env_;
};

TEST_F(SampleLogTest, HoldsWhatWasAdded) {
  EXPECT_TRUE(absl::IsNotFound(ReadSampleLogs(env_, kRoot).status()));
  ASSERT_TRUE(WriteLog(env_, kFirst, 2, 0, 3).ok());
  ASSERT_TRUE(WriteLog(env_, kSecond, 4, 2, 5, kFirst).ok());
  const SampleHistory history = Read();
  ASSERT_EQ(history.launches.size(), 2u);
  EXPECT_EQ(history.launches[0].writer, kFirst);
  EXPECT_EQ(history.launches[0].ranks, 2u);
  EXPECT_EQ(history.launches[0].from, std::nullopt);
  EXPECT_EQ(history.launches[1].after, 2u);
  EXPECT_EQ(history.launches[1].from, kFirst);
  ASSERT_EQ(history.launches[1].steps.size(), 3u);
  EXPECT_EQ(history.launches[1].steps[2], StepOf(kSecond, 5));
  EXPECT_TRUE(history.damage.empty());
}

TEST_F(SampleLogTest, TheTenthLaunchIsAfterTheNinth) {
  ASSERT_TRUE(WriteLog(env_, {1, 9}, 2, 0, 4).ok());
  ASSERT_TRUE(WriteLog(env_, {1, 10}, 2, 4, 6, WriterFence{1, 9}).ok());
  const SampleHistory history = Read();
  EXPECT_EQ(Describe(LineageOf(history, {1, 10}, 6)), "1.9 of 2: 1-4; 1.10 of 2: 5-6; ");
}

TEST_F(SampleLogTest, TheLineageLeavesOutWhatACrashTookAway) {
  ASSERT_TRUE(WriteLog(env_, kFirst, 2, 0, 7).ok());
  ASSERT_TRUE(WriteLog(env_, kSecond, 3, 4, 5, kFirst).ok());  // saved nothing
  ASSERT_TRUE(WriteLog(env_, kThird, 1, 4, 9, kFirst).ok());
  const SampleHistory history = Read();
  const SampleLineage lineage = LineageOf(history, kThird, 8);
  EXPECT_EQ(Describe(lineage), "1.1 of 2: 1-4; 2.1 of 1: 5-8; ");
  EXPECT_EQ(lineage.unrecorded, 0u);
  EXPECT_FALSE(lineage.lost);
}

// The newest checkpoint was damaged, so the third launch took that of the first.
TEST_F(SampleLogTest, TheLineageFollowsTheCheckpointThatWasTaken) {
  ASSERT_TRUE(WriteLog(env_, kFirst, 2, 0, 4).ok());
  ASSERT_TRUE(WriteLog(env_, kSecond, 2, 2, 8, kFirst).ok());
  ASSERT_TRUE(WriteLog(env_, kThird, 2, 4, 6, kFirst).ok());
  const SampleHistory history = Read();
  EXPECT_EQ(Describe(LineageOf(history, kThird, 6)), "1.1 of 2: 1-4; 2.1 of 2: 5-6; ");
  EXPECT_EQ(Describe(LineageOf(history, kSecond, 8)), "1.1 of 2: 1-2; 1.2 of 2: 3-8; ");
}

TEST_F(SampleLogTest, ALaunchThatMadeNoStepHandsOn) {
  ASSERT_TRUE(WriteLog(env_, kFirst, 2, 0, 4).ok());
  ASSERT_TRUE(WriteLog(env_, kSecond, 3, 4, 4, kFirst).ok());
  ASSERT_TRUE(WriteLog(env_, kThird, 2, 4, 6, kSecond).ok());
  EXPECT_EQ(Describe(LineageOf(Read(), kThird, 6)), "1.1 of 2: 1-4; 2.1 of 2: 5-6; ");
}

TEST_F(SampleLogTest, StepsOfALaunchWithoutALogAreUnrecorded) {
  // An earlier version has made the checkpoint of step 4.
  ASSERT_TRUE(WriteLog(env_, kSecond, 3, 4, 6, kFirst).ok());
  const SampleHistory history = Read();
  EXPECT_EQ(history.launches[0].from, std::nullopt);
  const SampleLineage lineage = LineageOf(history, kSecond, 6);
  EXPECT_EQ(lineage.unrecorded, 4u);
  EXPECT_FALSE(lineage.lost);
  EXPECT_EQ(LineageOf(history, kThird, 9).unrecorded, 9u);
}

TEST_F(SampleLogTest, ALogThatIsGoneIsMissed) {
  ASSERT_TRUE(WriteLog(env_, kFirst, 2, 0, 4).ok());
  ASSERT_TRUE(WriteLog(env_, kSecond, 3, 4, 6, kFirst).ok());
  ASSERT_TRUE(env_.RemoveFile(LogPath(kFirst)).ok());
  const SampleLineage lineage = LineageOf(Read(), kSecond, 6);
  EXPECT_EQ(lineage.lost, kFirst);
  EXPECT_EQ(lineage.unrecorded, 4u);
}

TEST_F(SampleLogTest, JoinedItIsTheSameHistory) {
  ASSERT_TRUE(WriteLog(env_, kFirst, 2, 0, 7).ok());
  // Its last line was cut short.
  env_.Contents(LogPath(kFirst)).pop_back();
  ASSERT_TRUE(WriteLog(env_, kSecond, 3, 4, 9, kFirst).ok());
  ASSERT_TRUE(WriteLog(env_, kThird, 3, 4, 9, kFirst).ok());
  const auto joined = JoinSampleLogs(env_, kRoot, kSecond);
  ASSERT_TRUE(joined.ok()) << joined.status();
  SampleHistory history;
  ASSERT_TRUE(ParseSampleLog(*joined, "samples.log", &history).ok());
  EXPECT_TRUE(history.damage.empty());
  ASSERT_EQ(history.launches.size(), 2u) << "the third is a later launch";
  EXPECT_EQ(history.launches[0].steps.size(), 6u);
  EXPECT_EQ(Describe(LineageOf(history, kSecond, 9)), "1.1 of 2: 1-4; 1.2 of 3: 5-9; ");
}

TEST_F(SampleLogTest, ANewerFormatIsRefused) {
  SampleHistory history;
  const std::string text =
      RecordLine({{"type", "launch"}, {"format", 2}, {"claim", 1}, {"launch", 1}});
  const absl::Status status = ParseSampleLog(text, "samples/1.1", &history);
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(MessageOf(status), HasSubstr("samples/1.1: line 1: a sample log of format 2"));
}

TEST_F(SampleLogTest, AStepOfAnotherLaunchIsNamed) {
  ASSERT_TRUE(WriteLog(env_, kFirst, 2, 0, 2).ok());
  ASSERT_TRUE(WriteLog(env_, kSecond, 2, 2, 3, kFirst).ok());
  const std::string text = env_.Contents(LogPath(kFirst));
  env_.Contents(LogPath(kSecond)) += text.substr(text.find('\n') + 1);
  const SampleHistory history = Read();
  EXPECT_EQ(history.launches[1].steps.size(), 1u);
  ASSERT_EQ(history.damage.size(), 2u);
  EXPECT_THAT(history.damage[0], HasSubstr("samples/1.2: line 3: is of claim 1, launch 1"));
}

// Whatever byte changes: a line is left out and named, unless it is the last one.
TEST_F(SampleLogTest, EveryDamagedByteCostsItsLineAtMost) {
  ASSERT_TRUE(WriteLog(env_, kFirst, 2, 0, 4).ok());
  std::string& text = env_.Contents(LogPath(kFirst));
  const size_t last_line = text.rfind('\n', text.size() - 2) + 1;
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char flip : {1, 64}) {
      text[at] ^= flip;
      const SampleHistory history = Read();
      text[at] ^= flip;
      // With the line end before it, the last two are one that was cut short.
      EXPECT_EQ(history.damage.empty(), at + 1 >= last_line) << at;
      for (const SampleLaunch& launch : history.launches) {
        for (const StepSamples& step : launch.steps) EXPECT_EQ(step, StepOf(kFirst, step.step));
      }
    }
  }
}

TEST_F(SampleLogTest, CutAnywhereItHoldsTheStepsBefore) {
  ASSERT_TRUE(WriteLog(env_, kFirst, 2, 0, 4).ok());
  const std::string whole = env_.Contents(LogPath(kFirst));
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::string text = whole.substr(0, size);
    env_.Contents(LogPath(kFirst)) = text;
    const SampleHistory history = Read();
    // A line without its line end is whole all the same.
    const size_t lines = std::ranges::count(whole.substr(0, size + 1), '\n');
    EXPECT_EQ(history.launches.size(), lines > 0 ? 1u : 0u) << size;
    if (lines > 0) {
      EXPECT_EQ(history.launches[0].steps.size(), lines - 1) << size;
    }
    EXPECT_TRUE(history.damage.empty());
  }
}

// Unsynced bytes may be lost or be there in any part.
TEST_F(SampleLogTest, APowerCutLosesNothingThatWasSynced) {
  bool completed = false;
  for (uint64_t cut = 0; !completed; ++cut) {
    for (uint64_t outcome = 0; outcome < 4; ++outcome) {
      SCOPED_TRACE(std::to_string(cut) + ", outcome " + std::to_string(outcome));
      testing::PowerCutEnv env;
      ASSERT_TRUE(CheckpointStore(env, kRoot).Fence(kFirst).ok());
      env.CutPowerAfter(cut);
      uint64_t synced = 0;
      completed = [&] {
        SampleLog log(env, kRoot);
        if (!log.Begin({kFirst, 2, 0}).ok()) return false;
        for (uint64_t step = 1; step <= 6; ++step) {
          log.Add(StepOf(kFirst, step));
          if (step % 2 != 0) continue;
          if (!log.Sync().ok()) return false;
          synced = step;
        }
        return true;
      }();
      env.Restart(testing::SurvivalOf(outcome));
      if (synced == 0) continue;
      const auto history = ReadSampleLogs(env, kRoot);
      ASSERT_TRUE(history.ok()) << history.status();
      ASSERT_EQ(history->launches.size(), 1u);
      const std::vector<StepSamples>& steps = history->launches[0].steps;
      ASSERT_GE(steps.size(), synced);
      for (uint64_t step = 1; step <= synced; ++step) {
        EXPECT_EQ(steps[step - 1], StepOf(kFirst, step));
      }
    }
  }
}

TEST_F(SampleLogTest, OfAFullDiskSyncTells) {
  SampleLog log(env_, kRoot);
  ASSERT_TRUE(log.Begin({kFirst, 2, 0}).ok());
  log.Add(StepOf(kFirst, 1));
  ASSERT_TRUE(log.Sync().ok());
  env_.LimitBytes(200);
  for (uint64_t step = 2; step <= 4; ++step) log.Add(StepOf(kFirst, step));
  env_.LimitBytes(100000);
  log.Add(StepOf(kFirst, 5));
  EXPECT_TRUE(absl::IsResourceExhausted(log.Sync()));
  EXPECT_TRUE(absl::IsResourceExhausted(log.Sync())) << "a line is missing for good";
  const SampleHistory history = Read();
  EXPECT_TRUE(history.damage.empty());
  EXPECT_EQ(history.launches[0].steps.size(), 2u) << "no line comes after the one that is cut";
}

TEST_F(SampleLogTest, ACopyHasTheLineageAndNothingElse) {
  ASSERT_TRUE(WriteLog(env_, kFirst, 2, 0, 7).ok());
  ASSERT_TRUE(WriteLog(env_, kSecond, 3, 4, 9, kFirst).ok());
  ASSERT_TRUE(CheckpointStore(env_, kOther).Fence({3, 0}).ok());
  ASSERT_TRUE(CopySampleLineage(env_, kRoot, StepEight(), kOther, {3, 0}).ok());
  SampleLog log(env_, kOther);
  // Claims of another stage have numbers of their own, which may be the same.
  ASSERT_TRUE(log.Begin({{3, 1}, 5, 8, WriterFence{3, 0}}).ok());
  log.Add(StepOf({3, 1}, 9));
  const auto history = ReadSampleLogs(env_, kOther);
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_TRUE(history->damage.empty());
  EXPECT_EQ(Describe(LineageOf(*history, {3, 1}, 9)),
            "1.1 of 2: 1-4; 1.2 of 3: 5-8; 3.1 of 5: 9-9; ");
  EXPECT_EQ(history->launches[0].steps.size(), 4u) << "not those that were made again";
  EXPECT_EQ(history->launches[1].steps.size(), 4u) << "nor those after the checkpoint";
}

TEST_F(SampleLogTest, ACopyOfWhatHasNoLogSaysSo) {
  ASSERT_TRUE(CheckpointStore(env_, kOther).Fence({3, 0}).ok());
  ASSERT_TRUE(CopySampleLineage(env_, kRoot, StepEight(), kOther, {3, 0}).ok());
  const auto history = ReadSampleLogs(env_, kOther);
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_EQ(LineageOf(*history, {3, 0}, 8).unrecorded, 8u);
  EXPECT_EQ(LineageOf(*history, {3, 0}, 8).lost, std::nullopt);
}

// A record that there was is told from one that never was, whoever goes on from it.
TEST_F(SampleLogTest, WhatIsLostStaysLost) {
  EXPECT_EQ(LineageOf({}, kSecond, 8).lost, std::nullopt);
  EXPECT_EQ(LineageOf({}, kSecond, 8, kSampleLogFormat).lost, kSecond);
  ASSERT_TRUE(CheckpointStore(env_, kOther).Fence({3, 0}).ok());
  ASSERT_TRUE(CopySampleLineage(env_, kRoot, StepEight(kSampleLogFormat), kOther, {3, 0}).ok());
  auto history = ReadSampleLogs(env_, kOther);
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_EQ(LineageOf(*history, {3, 0}, 8, kSampleLogFormat).lost, kSecond);

  SampleLog log(env_, kRoot);
  ASSERT_TRUE(log.Begin({kThird, 2, 8, kSecond}, kSampleLogFormat).ok());
  log.Add(StepOf(kThird, 9));
  ASSERT_TRUE(log.Sync().ok());
  EXPECT_EQ(LineageOf(Read(), kThird, 9).lost, kSecond);
  ASSERT_TRUE(log.Begin({kThird, 2, 8, kSecond}).ok());
  EXPECT_EQ(LineageOf(Read(), kThird, 9).lost, std::nullopt);
}

TEST_F(SampleLogTest, MutantsAreTakenOrNamed) {
  ASSERT_TRUE(WriteLog(env_, kFirst, 2, 0, 4).ok());
  const std::string text = env_.Contents(LogPath(kFirst));
  std::string records;  // without their checksums
  ASSERT_TRUE(ReadRecordLines(text, [&](const nlohmann::json& record) {
                records += record.dump() + "\n";
                return absl::OkStatus();
              }).ok());
  EXPECT_TRUE(CheckSampleLogParser(WithChecksums(records)));
  uint64_t accepted = 0;
  for (uint64_t mutant = 0; mutant < 3000; ++mutant) {
    CheckSampleLogParser(testing::Mutate(text, mutant));
    accepted += CheckSampleLogParser(WithChecksums(testing::Mutate(records, mutant))) ? 1 : 0;
  }
  EXPECT_GT(accepted, 30u);
  EXPECT_LT(accepted, 2900u);
}

}  // namespace
}  // namespace halcyon::storage
