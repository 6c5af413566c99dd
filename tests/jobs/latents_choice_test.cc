#include "jobs/latents_choice.h"

#include <gmock/gmock.h>

#include "jobs/flops.h"
#include "jobs/presets.h"

namespace halcyon::jobs {
namespace {

using ::testing::DoubleNear;

constexpr uint64_t kGigabyte = 1'000'000'000;
constexpr double kChunksOfGigabyte = kGigabyte / 16.0;
constexpr double kChunkBytes = 512;

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
  spec.launch.ranks = 4;
  return spec;
}

LatentsFacts Facts(uint64_t free_gigabytes) {
  return {.text_bytes = kGigabyte,
          .free_bytes = free_gigabytes * kGigabyte,
          .vocab_size = 128'256,
          .agents = 2};
}

// Encoding all takes 2 agents 3125 s, and what 1000 steps read, 4.2 times the text, 4 ranks 6554 s.
LatentsRates Rates() {
  return {.device = "cpu",
          .agent_chunks = 10'000,
          .rank_chunks = 10'000,
          .rank_flops = 1e11,
          .write_bytes = 1e8,
          .read_bytes = 1e8};
}

LatentsChoice WithRates(const JobSpec& spec, const LatentsRates& rates) {
  LatentsFacts facts = Facts(/*free_gigabytes=*/100);
  facts.rates = rates;
  return ChooseLatents(spec, facts);
}

TEST(ChooseLatents, StoresWhatFitsAndIsRead) {
  const LatentsChoice choice = ChooseLatents(Paper(), Facts(/*free_gigabytes=*/100));
  EXPECT_EQ(choice.rule, LatentsRule::kStore);
  EXPECT_TRUE(choice.has_room);
  EXPECT_THAT(static_cast<double>(choice.stored_bytes), DoubleNear(32e9, 0.5e9));
  EXPECT_THAT(choice.used_share, DoubleNear(4.19, 0.01));
  EXPECT_THAT(choice.encoding_share, DoubleNear(0.004, 0.0005));
  EXPECT_FALSE(choice.times);
}

TEST(ChooseLatents, RecomputesWhatTakesMoreThanHalfOfTheRoom) {
  EXPECT_EQ(ChooseLatents(Paper(), Facts(/*free_gigabytes=*/65)).rule, LatentsRule::kStore);
  const LatentsChoice choice = ChooseLatents(Paper(), Facts(/*free_gigabytes=*/63));
  EXPECT_EQ(choice.rule, LatentsRule::kRecompute);
  EXPECT_FALSE(choice.has_room);
}

TEST(ChooseLatents, RatesDoNotMakeRoom) {
  LatentsFacts facts = Facts(/*free_gigabytes=*/63);
  facts.rates = Rates();
  EXPECT_EQ(ChooseLatents(Paper(), facts).rule, LatentsRule::kRecompute);
}

TEST(ChooseLatents, NumbersOf32BitsTakeTwiceTheRoom) {
  JobSpec spec = Paper();
  spec.data.latent_format = LatentFormat::kFloat32;
  const LatentsChoice choice = ChooseLatents(spec, Facts(/*free_gigabytes=*/100));
  EXPECT_EQ(choice.rule, LatentsRule::kRecompute);
  EXPECT_THAT(static_cast<double>(choice.stored_bytes), DoubleNear(64e9, 1e9));
}

TEST(ChooseLatents, RecomputesATextOfWhichLittleIsReadWhereNoRatesAreKnown) {
  JobSpec spec = Paper();
  spec.train.steps = 100;
  EXPECT_EQ(ChooseLatents(spec, Facts(/*free_gigabytes=*/1000)).rule, LatentsRule::kRecompute);
}

TEST(ChooseLatents, StoresWhatIsEncodedFasterOnceThanAsOftenAsItIsRead) {
  const LatentsChoice choice = WithRates(Paper(), Rates());
  EXPECT_EQ(choice.rule, LatentsRule::kStore);
  ASSERT_TRUE(choice.times);
  EXPECT_DOUBLE_EQ(choice.times->store, kChunksOfGigabyte / 20'000);
  EXPECT_DOUBLE_EQ(choice.times->recompute, 1000 * 256 * 1024 / 40'000.0);
  EXPECT_DOUBLE_EQ(choice.times->training,
                   1000 * StepFlops(Paper(), StageKind::kModel, 128'256) / 4e11);
}

TEST(ChooseLatents, RecomputesWhatManyRanksEncodeFasterThanFewAgents) {
  JobSpec spec = Paper();
  spec.launch.ranks = 16;
  EXPECT_EQ(WithRates(spec, Rates()).rule, LatentsRule::kRecompute);
}

TEST(ChooseLatents, AgentsShareTheGpusOfTheRanks) {
  JobSpec spec = Paper();
  spec.launch.ranks = 1;
  LatentsRates rates = Rates();
  rates.is_gpu = true;
  const LatentsChoice choice = WithRates(spec, rates);
  ASSERT_TRUE(choice.times);
  EXPECT_DOUBLE_EQ(choice.times->store, kChunksOfGigabyte / 10'000);
}

TEST(ChooseLatents, RecomputesWhereTheDiskWritesSlowerThanRanksEncode) {
  LatentsRates rates = Rates();
  rates.write_bytes = 1e6;
  const LatentsChoice choice = WithRates(Paper(), rates);
  EXPECT_EQ(choice.rule, LatentsRule::kRecompute);
  ASSERT_TRUE(choice.times);
  EXPECT_THAT(choice.times->store, DoubleNear(kChunksOfGigabyte * kChunkBytes / 1e6, 500));
}

TEST(ChooseLatents, ReadingCountsWhereItTakesLongerThanTraining) {
  LatentsRates rates = Rates();
  rates.rank_flops = 1e15;  // training takes little
  rates.read_bytes = 1e7;
  const LatentsChoice slow = WithRates(Paper(), rates);
  EXPECT_EQ(slow.rule, LatentsRule::kRecompute);
  ASSERT_TRUE(slow.times);
  EXPECT_GT(slow.times->store, 1000 * 256 * 1024 * kChunkBytes / 1e7);
  rates.rank_flops = 1e8;  // training takes longer than reading
  EXPECT_EQ(WithRates(Paper(), rates).rule, LatentsRule::kStore);
}

TEST(ChooseLatents, TextOfNoBytesIsStored) {
  LatentsFacts facts = Facts(/*free_gigabytes=*/1);
  facts.text_bytes = 0;
  EXPECT_EQ(ChooseLatents(Paper(), facts).rule, LatentsRule::kStore);
}

}  // namespace
}  // namespace halcyon::jobs
