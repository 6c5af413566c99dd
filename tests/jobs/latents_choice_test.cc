#include "jobs/latents_choice.h"

#include <gmock/gmock.h>

#include "jobs/presets.h"

namespace halcyon::jobs {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr uint64_t kGigabyte = 1'000'000'000;
constexpr int64_t kVocabulary = 128'256;

// The paper's sizes. A gigabyte of text is 62.5 million chunks, and its latents are 32 GB.
JobSpec Paper() {
  JobSpec spec;
  spec.autoencoder = PaperAutoencoder();
  spec.model.hidden_size = 1024;
  spec.model.intermediate_size = 2752;
  spec.model.attention_heads = 16;
  spec.model.layers = 16;
  spec.model.window_chunks = 1024;
  spec.train.batch = 256;
  spec.train.steps = 1000;
  return spec;
}

TEST(ChooseLatents, StoresWhatFitsAndIsRead) {
  const LatentsChoice choice = ChooseLatents(Paper(), kGigabyte, 100 * kGigabyte, kVocabulary);
  EXPECT_EQ(choice.rule, LatentsRule::kStore);
  EXPECT_THAT(choice.why, StartsWith("stored they would take about 32 GB, 100 GB are free; "
                                     "recomputing adds "));
}

TEST(ChooseLatents, RecomputesWhatTakesMoreThanHalfOfTheRoom) {
  EXPECT_EQ(ChooseLatents(Paper(), kGigabyte, 65 * kGigabyte, kVocabulary).rule,
            LatentsRule::kStore);
  const LatentsChoice choice = ChooseLatents(Paper(), kGigabyte, 63 * kGigabyte, kVocabulary);
  EXPECT_EQ(choice.rule, LatentsRule::kRecompute);
  EXPECT_THAT(choice.why, StartsWith("stored they would take about 32 GB, 63 GB are free"));
}

TEST(ChooseLatents, NumbersOf32BitsTakeTwiceTheRoom) {
  JobSpec spec = Paper();
  spec.data.latent_format = LatentFormat::kFloat32;
  const LatentsChoice choice = ChooseLatents(spec, kGigabyte, 100 * kGigabyte, kVocabulary);
  EXPECT_EQ(choice.rule, LatentsRule::kRecompute);
  EXPECT_THAT(choice.why, StartsWith("stored they would take about 64 GB, 100 GB are free"));
}

TEST(ChooseLatents, RecomputesATextOfWhichLittleIsRead) {
  JobSpec spec = Paper();
  spec.train.steps = 100;
  const LatentsChoice choice = ChooseLatents(spec, kGigabyte, 1000 * kGigabyte, kVocabulary);
  EXPECT_EQ(choice.rule, LatentsRule::kRecompute);
  EXPECT_THAT(choice.why, StartsWith("training reads about 42 % of the text; "));
}

TEST(ChooseLatents, SaysHowMuchArithmeticEncodingIs) {
  EXPECT_THAT(ChooseLatents(Paper(), kGigabyte, 100 * kGigabyte, kVocabulary).why,
              HasSubstr("recomputing adds 0.4 % to the arithmetic of training"));
}

TEST(ChooseLatents, TextOfNoBytesIsStored) {
  EXPECT_EQ(ChooseLatents(Paper(), 0, kGigabyte, kVocabulary).rule, LatentsRule::kStore);
}

}  // namespace
}  // namespace halcyon::jobs
