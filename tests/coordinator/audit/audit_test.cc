#include "coordinator/audit/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <set>

#include "coordinator/audit/audit_text.h"
#include "pipeline/samples/sample_digest.h"

namespace halcyon::coordinator {
namespace {

using pipeline::MixtureOrder;
using storage::SampleHistory;
using storage::SampleLaunch;
using storage::StepSamples;
using storage::WriterFence;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr uint64_t kBatch = 6;

// What ranks really used of a step: (place, item) of each sample. As the test has it, they may err.
using Used = std::vector<std::pair<uint64_t, uint64_t>>;

std::string IdsOf(uint64_t item) { return "ids of " + std::to_string(item); }
ItemLatents LatentsOf(uint64_t item) {
  return {"means of " + std::to_string(item), "log_stds of " + std::to_string(item)};
}

class AuditTest : public ::testing::Test {
 protected:
  Used RightUse(uint64_t step) const {
    Used used;
    for (uint64_t place = 0; place < kBatch; ++place) {
      used.push_back({place, order_.ItemAt((step - 1) * kBatch + place)});
    }
    return used;
  }
  StepSamples Line(uint64_t step, const Used& used) const {
    pipeline::SampleDigest digest;
    for (const auto& [place, item] : used) {
      digest.Add(step - 1, place, item);
      digest.AddText(step - 1, place, IdsOf(loaded_ == place ? item + 1 : item));
      const uint64_t latents = read_ == place ? item + 1 : item;
      digest.AddLatents(step - 1, place, LatentsOf(latents).means, LatentsOf(latents).log_stds);
    }
    return digest.Recorded(step);
  }
  void AddLaunch(const WriterFence& writer, uint32_t ranks, uint64_t after, uint64_t last,
                 std::optional<WriterFence> from = std::nullopt) {
    SampleLaunch launch{writer, ranks, after, from};
    for (uint64_t step = after + 1; step <= last; ++step) {
      launch.steps.push_back(Line(step, RightUse(step)));
    }
    history_.launches.push_back(launch);
  }
  // Steps 1 to 12 of two launches, the second of another number of ranks.
  void AddTwoLaunches() {
    AddLaunch({1, 1}, 2, 0, 7);
    AddLaunch({2, 1}, 3, 5, 12, WriterFence{1, 1});
    writer_ = {2, 1};
    steps_ = 12;
  }
  StepSamples& LineOf(size_t launch, size_t line) { return history_.launches[launch].steps[line]; }

  AuditReport Run(bool with_text = false, uint64_t first = 1, uint64_t last = 0) {
    AuditInput input{.order = &order_,
                     .batch = kBatch,
                     .steps = steps_,
                     .history = &history_,
                     .writer = writer_};
    if (with_text) input.ids_of = IdsOf;
    if (with_latents_) input.latents_of = LatentsOf;
    input.log_format = log_format_;
    auto report = Audit(input, first, last == 0 ? steps_ : last);
    EXPECT_TRUE(report.ok()) << report.status();
    return *std::move(report);
  }
  void ExpectFault(const AuditReport& report, uint64_t step, const std::string& what) {
    EXPECT_EQ(report.verdict, AuditVerdict::kFails);
    ASSERT_FALSE(report.faults.empty());
    EXPECT_EQ(report.faults[0].step, step);
    EXPECT_THAT(report.faults[0].what, HasSubstr(what));
  }

  MixtureOrder order_{5, {{.items = 23}}};
  bool with_latents_ = false;
  uint64_t log_format_ = 0;
  std::optional<uint64_t> loaded_, read_;  // the place whose text, or latents, are of another item
  SampleHistory history_;
  WriterFence writer_;
  uint64_t steps_ = 0;
};

TEST_F(AuditTest, HoldsAcrossACrashAndAnotherNumberOfRanks) {
  AddTwoLaunches();
  const AuditReport report = Run(/*with_text=*/true);
  EXPECT_EQ(report.verdict, AuditVerdict::kHolds);
  EXPECT_THAT(report.faults, IsEmpty());
  EXPECT_EQ(report.samples, 72u);
  ASSERT_EQ(report.launches.size(), 2u);
  EXPECT_EQ(report.launches[0].ranks, 2u);
  EXPECT_EQ(report.launches[0].last, 5u);
  EXPECT_EQ(report.launches[1].ranks, 3u);
  EXPECT_EQ(report.launches[1].first, 6u);
  ASSERT_EQ(report.redone.size(), 1u);
  EXPECT_EQ(report.redone[0].writer, (WriterFence{1, 1}));
  EXPECT_EQ(report.redone[0].first, 6u);
  EXPECT_EQ(report.redone[0].last, 7u);
  // 72 samples of 23 items: three passes, and three items once more.
  ASSERT_EQ(report.sources.size(), 1u);
  EXPECT_EQ(report.sources[0].least, 3u);
  EXPECT_EQ(report.sources[0].most, 4u);
}

TEST_F(AuditTest, StepsAfterTheCheckpointAreNotJudged) {
  AddLaunch({1, 1}, 2, 0, 9);
  writer_ = {1, 1};
  steps_ = 8;
  LineOf(0, 8).samples = 1;
  const AuditReport report = Run();
  EXPECT_EQ(report.verdict, AuditVerdict::kHolds);
  EXPECT_THAT(report.redone, IsEmpty());
}

TEST_F(AuditTest, CountsEachSourceForItself) {
  order_ = MixtureOrder(5, {{"big", 0.75, 0, 40}, {"small", 0.25, 50, 4}});
  AddLaunch({1, 1}, 2, 0, 3000);
  writer_ = {1, 1};
  steps_ = 3000;
  const AuditReport report = Run();
  EXPECT_EQ(report.verdict, AuditVerdict::kHolds);
  ASSERT_EQ(report.sources.size(), 2u);
  const std::vector<uint64_t> samples = order_.SamplesOfParts(3000 * kBatch);
  for (size_t i = 0; i < 2; ++i) {
    const SourceUse& source = report.sources[i];
    EXPECT_EQ(source.samples, samples[i]);
    EXPECT_LE(source.least * source.items, source.samples);
    EXPECT_GE(source.most * source.items, source.samples);
  }
}

TEST_F(AuditTest, ASampleThatWasLeftOutIsFound) {
  AddTwoLaunches();
  Used used = RightUse(8);
  used.erase(used.begin() + 2);
  LineOf(1, 2) = Line(8, used);
  ExpectFault(Run(), 8,
              "step 8: expected 6 samples with digest " +
                  storage::Hex128(Line(8, RightUse(8)).items) +
                  "; the record of claim 2, launch 1 (3 ranks) says 5 with digest " +
                  storage::Hex128(LineOf(1, 2).items) + ": sample 44 (item " +
                  std::to_string(order_.ItemAt(44)) + ") was left out");
}

TEST_F(AuditTest, ASampleThatWasUsedTwiceIsFound) {
  AddTwoLaunches();
  Used used = RightUse(2);
  used.push_back(used[4]);
  LineOf(0, 1) = Line(2, used);
  ExpectFault(Run(), 2,
              "sample 10 (item " + std::to_string(order_.ItemAt(10)) + ") was used twice");
}

TEST_F(AuditTest, TwoSamplesThatChangedPlacesAreFound) {
  AddTwoLaunches();
  Used used = RightUse(2);
  std::swap(used[1].second, used[4].second);
  LineOf(0, 1) = Line(2, used);
  const AuditReport report = Run();
  ExpectFault(report, 2, "step 2: expected 6 samples");
  EXPECT_EQ(report.fault_count, 1u);
  EXPECT_EQ(report.samples, 66u) << "of the other steps";
}

TEST_F(AuditTest, AWrongWindowIsFound) {
  AddTwoLaunches();
  Used used = RightUse(12);
  used[3].second = (used[3].second + 1) % 23;
  LineOf(1, 6) = Line(12, used);
  ExpectFault(Run(), 12,
              ": item " + std::to_string(used[3].second) +
                  " was used in place of sample 69 (item " + std::to_string(order_.ItemAt(69)) +
                  ")");
  used[4].second = (used[4].second + 1) % 23;
  LineOf(1, 6) = Line(12, used);
  EXPECT_THAT(Run().faults[0].what, Not(HasSubstr("in place of")));
}

// The plan was right, but other text was loaded.
TEST_F(AuditTest, WrongTextIsFoundWhereTextIsCompared) {
  AddTwoLaunches();
  LineOf(1, 0).text[1] ^= 1;
  EXPECT_EQ(Run().verdict, AuditVerdict::kHolds);
  ExpectFault(Run(/*with_text=*/true), 6, "step 6: expected text with digest");
  EXPECT_EQ(Run(/*with_text=*/true, 7, 7).verdict, AuditVerdict::kHolds) << "another step";
  EXPECT_EQ(Run(/*with_text=*/true, 6, 6).verdict, AuditVerdict::kFails);
}

TEST_F(AuditTest, TheSampleWithOtherTextIsNamed) {
  AddTwoLaunches();
  loaded_ = 4;
  LineOf(1, 0) = Line(6, RightUse(6));
  ExpectFault(
      Run(/*with_text=*/true), 6,
      ": other text than its own for sample 34 (item " + std::to_string(order_.ItemAt(34)) + ")");
  LineOf(1, 0).by_place->text[0] ^= 1;
  ExpectFault(Run(/*with_text=*/true), 6, ": several samples are not as they should be");
}

TEST_F(AuditTest, OtherLatentsAreFound) {
  AddTwoLaunches();
  with_latents_ = true;
  EXPECT_EQ(Run(/*with_text=*/true).with_latents, 72u);
  read_ = 0;
  LineOf(1, 0) = Line(6, RightUse(6));
  ExpectFault(Run(/*with_text=*/true), 6, "step 6: expected latents with digest ");
  ExpectFault(Run(/*with_text=*/true), 6,
              ": other latents than its own for sample 30 (item " +
                  std::to_string(order_.ItemAt(30)) + ")");
  EXPECT_EQ(Run().verdict, AuditVerdict::kHolds) << "they are not read";
  // As an earlier version recorded.
  LineOf(1, 0).latents.reset();
  LineOf(1, 0).by_place.reset();
  const AuditReport report = Run(/*with_text=*/true);
  EXPECT_EQ(report.verdict, AuditVerdict::kHolds);
  EXPECT_EQ(report.with_latents, 66u);
}

TEST_F(AuditTest, ARecordThatTheCheckpointSpeaksOfIsMissed) {
  AddTwoLaunches();
  log_format_ = 1;
  EXPECT_EQ(Run().verdict, AuditVerdict::kHolds);
  const SampleHistory whole = history_;
  history_.launches.pop_back();
  ExpectFault(Run(), 12, "steps 1 to 12: the record of claim 2, launch 1 is gone");
  history_ = {};
  ExpectFault(Run(), 12, "steps 1 to 12: the record of claim 2, launch 1 is gone");
  log_format_ = 0;
  EXPECT_EQ(Run().verdict, AuditVerdict::kUnrecorded) << "as of an earlier version";
}

TEST_F(AuditTest, AStepThatIsMissingOrStandsTwiceIsFound) {
  AddTwoLaunches();
  const SampleHistory whole = history_;
  history_.launches[1].steps.erase(history_.launches[1].steps.begin() + 3);
  history_.damage.push_back("samples/2.1: line 5 is damaged");
  AuditReport report = Run();
  ExpectFault(report, 9, "step 9: is not in the record of claim 2, launch 1");
  ASSERT_FALSE(report.faults.empty());
  EXPECT_THAT(report.faults.back().what, HasSubstr("samples/2.1: line 5 is damaged"));
  history_ = whole;
  history_.launches[0].steps.push_back(history_.launches[0].steps[2]);
  ExpectFault(Run(), 3, "step 3: stands twice in the record of claim 1, launch 1");
  history_ = whole;
  // Damage where nothing is missed is no fault.
  history_.damage.push_back("samples/1.1: line 9 is damaged");
  EXPECT_EQ(Run().verdict, AuditVerdict::kHolds);
}

TEST_F(AuditTest, FaultsAreCountedWhenTheyAreMany) {
  AddTwoLaunches();
  for (StepSamples& line : history_.launches[1].steps) line.samples = 5;
  for (StepSamples& line : history_.launches[0].steps) line.samples = 5;
  const AuditReport report = Run();
  EXPECT_EQ(report.fault_count, 12u);
  EXPECT_EQ(report.faults.size(), kAuditFaultsMax);
}

TEST_F(AuditTest, WhatAnEarlierVersionMadeIsNotKnown) {
  AddLaunch({2, 1}, 3, 5, 12);
  writer_ = {2, 1};
  steps_ = 12;
  AuditReport report = Run();
  EXPECT_EQ(report.verdict, AuditVerdict::kUnrecorded);
  EXPECT_EQ(report.unrecorded, 5u);
  EXPECT_EQ(report.samples, 42u);
  EXPECT_EQ(Run(false, 6, 6).verdict, AuditVerdict::kHolds);
  EXPECT_EQ(Run(false, 5, 5).verdict, AuditVerdict::kUnrecorded);
  LineOf(0, 0).samples = 5;
  EXPECT_EQ(Run().verdict, AuditVerdict::kFails);
}

TEST_F(AuditTest, ARecordThatIsGoneIsAFault) {
  AddTwoLaunches();
  history_.launches.erase(history_.launches.begin());
  ExpectFault(Run(), 5, "steps 1 to 5: the record of claim 1, launch 1 is gone");
}

TEST_F(AuditTest, TheTextSaysWhoMadeWhatAndWhatIsWrong) {
  AddTwoLaunches();
  AuditSubject subject{"model", jobs::StageKind::kModel, /*finished=*/true, kBatch, false};
  EXPECT_EQ(AuditText(subject, Run()),
            "model: holds: each of 72 samples was used exactly as it should be\n"
            "  steps    1 to 12, of 6 samples each\n"
            "  text     23 windows, each used 3 to 4 times: 3.13 passes\n"
            "  made by  claim 1, launch 1, 2 ranks: steps 1 to 5\n"
            "  made by  claim 2, launch 1, 3 ranks: steps 6 to 12\n"
            "  redone   steps 6 to 7, which claim 1, launch 1 had made and not saved\n");
  EXPECT_EQ(ToJson(subject, Run())["verdict"], "holds");
  for (StepSamples& line : history_.launches[1].steps) line.samples = 5;
  for (StepSamples& line : history_.launches[0].steps) line.samples = 5;
  const std::string fails = AuditText(subject, Run());
  EXPECT_THAT(fails, StartsWith("model: does not hold: 12 faults\n  step 1: expected 6 samples"));
  EXPECT_THAT(fails, HasSubstr("\n  and 2 more\n"));
  history_ = {};
  AddLaunch({2, 1}, 3, 5, 12);
  subject.finished = false;
  const std::string unrecorded = AuditText(subject, Run());
  EXPECT_THAT(unrecorded, StartsWith("model: not known: steps 1 to 5 were made by a version"));
  EXPECT_THAT(unrecorded, HasSubstr("each; up to the last committed checkpoint\n"));
}

}  // namespace
}  // namespace halcyon::coordinator
