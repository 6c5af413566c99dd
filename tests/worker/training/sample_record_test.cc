// What ranks record of the samples that they trained on, across restarts and numbers of ranks.
#include <ATen/ATen.h>

#include "cluster/outputs.h"
#include "pipeline/samples/sample_digest.h"
#include "storage/sample_log.h"
#include "tests/testing/faulty_env.h"
#include "tests/worker/training/trainer_fixture.h"

namespace halcyon::worker {
namespace {

using storage::SampleHistory;
using storage::SampleLineage;
using storage::WriterFence;

class SampleRecordTest : public TrainerTest {
 protected:
  pipeline::SampleDigest ExpectedOf(uint64_t step) const {
    const pipeline::MixtureOrder order(options_.seed, ToyTrainee(train_).items());
    pipeline::SampleDigest expected;
    const auto batch = static_cast<uint64_t>(train_.batch);
    for (uint64_t place = 0; place < batch; ++place) {
      const uint64_t item = order.ItemAt((step - 1) * batch + place);
      const at::Tensor ids = ToyTrainee::InputOf({item});
      expected.Add(step - 1, place, item);
      expected.AddText(step - 1, place,
                       {static_cast<const char*>(ids.const_data_ptr()), ids.nbytes()});
    }
    return expected;
  }
  // Each step of the history is recorded as it should be; of these the text is another.
  void ExpectRight(const SampleHistory& history, const std::set<uint64_t>& wrong_text = {}) {
    EXPECT_TRUE(history.damage.empty());
    for (const storage::SampleLaunch& launch : history.launches) {
      for (const storage::StepSamples& step : launch.steps) {
        const pipeline::SampleDigest expected = ExpectedOf(step.step);
        EXPECT_EQ(step.samples, expected.samples());
        EXPECT_EQ(step.items, expected.items()) << step.step;
        EXPECT_EQ(step.text == expected.text(), !wrong_text.contains(step.step)) << step.step;
      }
    }
  }
  SampleHistory HistoryOf(const std::string& work) {
    auto history = storage::ReadSampleLogs(*Env::Posix(), WorkDir(work) + "/checkpoints");
    EXPECT_TRUE(history.ok()) << history.status();
    return *std::move(history);
  }
  void ExpectPart(const storage::LineagePart& part, uint64_t launch, uint32_t ranks, uint64_t first,
                  uint64_t last) {
    EXPECT_EQ(part.launch->writer, (WriterFence{1, launch}));
    EXPECT_EQ(part.launch->ranks, ranks);
    EXPECT_EQ(part.first, first);
    EXPECT_EQ(part.last, last);
  }
};

TEST_F(SampleRecordTest, HoldsAcrossACrashAndOtherNumbersOfRanks) {
  options_.assignment.launch = 1;
  EXPECT_TRUE(absl::IsAborted(Run("job", 2, /*stop_at=*/2).status));
  options_.assignment.launch = 2;
  fails_to_load_ = 7;  // after steps 4 to 7, of which 5 to 7 were not saved
  EXPECT_FALSE(Run("job", 4).status.ok());
  fails_to_load_.reset();
  options_.assignment.launch = 3;
  ASSERT_TRUE(Run("job", 3).status.ok());

  const SampleHistory history = HistoryOf("job");
  ExpectRight(history);
  ASSERT_EQ(history.launches.size(), 3u);
  EXPECT_EQ(history.launches[1].steps.size(), 4u);
  const SampleLineage lineage = LineageOf(history, {1, 3}, 12);
  ASSERT_EQ(lineage.parts.size(), 3u);
  ExpectPart(lineage.parts[0], 1, 2, 1, 3);
  ExpectPart(lineage.parts[1], 2, 4, 4, 4);
  ExpectPart(lineage.parts[2], 3, 3, 5, 12);
  // The artifact has the same.
  cluster::StageAssignment assignment = options_.assignment;
  assignment.work_dir = WorkDir("job");
  SampleHistory kept;
  const auto text = Env::Posix()->ReadFile(cluster::GangOutputDir(assignment) + "/samples.log");
  ASSERT_TRUE(text.ok()) << text.status();
  ASSERT_TRUE(ParseSampleLog(*text, "samples.log", &kept).ok());
  ASSERT_EQ(kept.launches.size(), 3u);
  EXPECT_EQ(kept.launches[2].steps, history.launches[2].steps);
}

TEST_F(SampleRecordTest, TellsTextThatIsNotThatOfItsItem) {
  loads_wrong_ = 4;
  ASSERT_TRUE(Run("job", 3).status.ok());
  ExpectRight(HistoryOf("job"), {5});
}

// The lines are on the disk before the checkpoint is.
TEST_F(SampleRecordTest, APowerCutKeepsWhatTheCheckpointCovers) {
  testing::FaultyEnv env(Env::Posix());
  env_ = &env;
  options_.assignment.launch = 1;
  fails_to_load_ = 10;
  EXPECT_FALSE(Run("job", 2).status.ok());
  ASSERT_TRUE(env.DropUnsynced().ok());
  storage::CheckpointStore store(env, WorkDir("job") + "/checkpoints");
  const auto newest = store.FindLastGood();
  ASSERT_TRUE(newest.ok()) << newest.status();
  EXPECT_EQ(newest->manifest.step, 8u);
  const SampleHistory history = HistoryOf("job");
  ExpectRight(history);
  ASSERT_EQ(history.launches.size(), 1u);
  EXPECT_EQ(history.launches[0].steps.size(), 8u);
}

}  // namespace
}  // namespace halcyon::worker
