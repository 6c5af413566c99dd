#include "jobs/spec_overrides.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/env.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::jobs {
namespace {

using ::testing::HasSubstr;

class SpecOverridesTest : public ::testing::Test {
 protected:
  SpecOverridesTest() {
    Write("t.txt", "text\n");
    Write("u.txt", "text\n");
    Write("job.toml",
          "name = \"a\"\n[data]\nsources = [\"t.txt\"]\n[train]\nsteps = 100\nwarmup_steps = 50\n");
  }
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), dir_.Path(name), text).ok());
  }
  absl::StatusOr<JobSpec> Load(const std::vector<std::string>& words) {
    ASSIGN_OR_RETURN(const auto overrides, ParseOverrides(words));
    return LoadJobSpec(dir_.Path("job.toml"), overrides);
  }
  std::string Error(const std::vector<std::string>& words) {
    const auto spec = Load(words);
    EXPECT_TRUE(absl::IsInvalidArgument(spec.status())) << spec.status();
    return MessageOf(spec.status());
  }

  testing::TempDir dir_;
};

TEST_F(SpecOverridesTest, ReplaceWhatTheFileSaysAndNothingElse) {
  JobSpec expected = *Load({});
  expected.seed = 7;
  expected.train.steps = 2000;
  expected.train.learning_rate = 1e-3;
  expected.model.head = HeadKind::kSoftmax;
  expected.autoencoder.variational = false;
  expected.autoencoder.kl_weight = expected.autoencoder.kl_clamp = 0;
  expected.autoencoder.train.decay = LearningRateDecay::kCosine;
  const auto spec =
      Load({"seed=7", "train.steps=2_000", "train.learning_rate=1e-3", "model.head=softmax",
            "autoencoder.variational=false", "autoencoder.kl_weight=0", "autoencoder.kl_clamp=0.0",
            "autoencoder.train.decay='cosine'"});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(*spec, expected);
  EXPECT_THAT(ToToml(*spec), HasSubstr("steps = 2000\n"));
}

TEST_F(SpecOverridesTest, APresetGivesItsDefaultsFromHereToo) {
  const auto spec = Load({"autoencoder.preset=plain-10"});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->autoencoder.latent_size, 10);
}

TEST_F(SpecOverridesTest, FileNamesCountFromTheJobFile) {
  const auto spec = Load({"data.sources=[\"u.txt\"]"});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->data.sources, std::vector{dir_.Path("u.txt")});
  EXPECT_THAT(Error({"data.sources=[\"t.txt\", \"missing.txt\"]"}),
              HasSubstr("--set data.sources: cannot read " + dir_.Path("missing.txt")));
}

TEST_F(SpecOverridesTest, TheFilesChecksSpeakOfTheOption) {
  EXPECT_EQ(Error({"train.stesp=3"}), "--set train.stesp: unknown key; did you mean \"steps\"?");
  EXPECT_EQ(Error({"trian.steps=3"}),
            "--set trian.steps: trian: unknown table; did you mean [train]?");
  EXPECT_THAT(Error({"train.steps=0"}), HasSubstr("--set train.steps: 0 is out of range ("));
  EXPECT_THAT(Error({"train.steps=many"}), HasSubstr("--set train.steps: "));
  EXPECT_THAT(Error({"train.steps=\"3\""}),
              HasSubstr("--set train.steps: expected an integer, found the string \"3\""));
  EXPECT_THAT(Error({"train.decay=slow"}),
              HasSubstr("--set train.decay: \"slow\" is not a valid value; choose one of"));
  EXPECT_THAT(Error({"train.steps="}), HasSubstr("--set train.steps: "));
}

TEST_F(SpecOverridesTest, AContradictionWithTheFileNamesTheOption) {
  EXPECT_EQ(Error({"train.steps=20"}),
            "--set train.steps: train.warmup_steps: 50 is more than steps = 20; write warmup_steps "
            "= 20 or less");
  EXPECT_EQ(Error({"train.warmup_steps=101"}),
            "--set train.warmup_steps: 101 is more than steps = 100; write warmup_steps = 100 or "
            "less");
}

TEST_F(SpecOverridesTest, TheFilesOwnErrorsKeepTheirLines) {
  Write("job.toml", "name = \"a\"\n[data]\nsources = [\"t.txt\"]\n[train]\nsteps = 0\n");
  const std::string error = Error({"train.batch=0"});
  EXPECT_THAT(error, HasSubstr("--set train.batch: 0 is out of range"));
  EXPECT_THAT(error, HasSubstr("job.toml:5: train.steps: 0 is out of range"));
}

TEST_F(SpecOverridesTest, WordsOfAnotherFormAreRefused) {
  for (const std::string word :
       {"train.steps", "=3", "train steps=3", "train..steps=3", ".a=1", "data.sources[0]=x", ""}) {
    EXPECT_THAT(Error({word}), HasSubstr("is not KEY=VALUE; write for example")) << word;
  }
  EXPECT_THAT(Error({"name=b"}), HasSubstr("--set name: names the job"));
  EXPECT_THAT(Error({"seed=1", "seed=2"}), HasSubstr("--set seed: is given twice"));
  // A line break would begin another key, which the checks would not see.
  EXPECT_THAT(Error({"train.steps=3\nbatch = 1"}), HasSubstr("holds a control character"));
}

}  // namespace
}  // namespace halcyon::jobs
