#include "coordinator/stages/latents_rule.h"

#include <gmock/gmock.h>

#include "tests/testing/temp_dir.h"

namespace halcyon::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class LatentsRuleTest : public ::testing::Test {
 protected:
  LatentsRuleTest() {
    const std::string text = dir_.Path("text.txt");
    EXPECT_TRUE(WriteFileAtomically(env_, text, std::string(1 << 20, 'a')).ok());
    spec_.data.sources = {text};
    spec_.data.latents = jobs::LatentsRule::kAuto;
  }
  absl::Status Settle(uint64_t free_bytes) {
    const LatentsMachine machine = {[&](const std::string&) {
                                      return DiskRoom{free_bytes, 1 << 20};
                                    },
                                    [&](const jobs::LatentsFacts&) {
                                      ++measured_;
                                      return rates_;
                                    },
                                    /*agents=*/2};
    return SettleLatents(
        env_, dir_.path(), dir_.path(), may_decide_ ? &machine : nullptr,
        [&](const std::string& line) { said_.push_back(line); }, &spec_);
  }

  testing::TempDir dir_;
  Env& env_ = *Env::Posix();
  jobs::JobSpec spec_;
  std::vector<std::string> said_;
  absl::StatusOr<jobs::LatentsRates> rates_ = FailedPrecondition("no GPU");
  int measured_ = 0;
  bool may_decide_ = true;
};

// What makes data for another machine to train on.
TEST_F(LatentsRuleTest, WithoutAMachineNothingIsDecidedAndAnEarlierDecisionHolds) {
  may_decide_ = false;
  ASSERT_TRUE(Settle(/*free_bytes=*/1000).ok());
  EXPECT_EQ(spec_.data.latents, jobs::LatentsRule::kAuto);
  may_decide_ = true;
  ASSERT_TRUE(Settle(/*free_bytes=*/1000).ok());
  spec_.data.latents = jobs::LatentsRule::kAuto;
  may_decide_ = false;
  ASSERT_TRUE(Settle(/*free_bytes=*/1000).ok());
  EXPECT_EQ(spec_.data.latents, jobs::LatentsRule::kRecompute);
}

TEST_F(LatentsRuleTest, IsDecidedOnceForAJob) {
  ASSERT_TRUE(Settle(/*free_bytes=*/1000).ok());
  EXPECT_EQ(spec_.data.latents, jobs::LatentsRule::kRecompute);
  EXPECT_THAT(said_, ElementsAre(StartsWith(
                         "latents: data.latents = \"auto\" is \"recompute\" for this job: stored "
                         "they would take about")));
  spec_.data.latents = jobs::LatentsRule::kAuto;
  ASSERT_TRUE(Settle(/*free_bytes=*/uint64_t{1} << 60).ok());
  EXPECT_EQ(spec_.data.latents, jobs::LatentsRule::kRecompute);
  EXPECT_EQ(said_.size(), 1u);
}

TEST_F(LatentsRuleTest, IsDecidedByTheRatesAndNamesThem) {
  rates_ = jobs::LatentsRates{.device = "cpu",
                              .agent_chunks = 12'345,
                              .rank_chunks = 23'456,
                              .rank_flops = 1e11,
                              .write_bytes = 3e8,
                              .read_bytes = 4e8};
  spec_.train.steps = 1000;
  ASSERT_TRUE(Settle(/*free_bytes=*/uint64_t{1} << 60).ok());
  EXPECT_EQ(spec_.data.latents, jobs::LatentsRule::kStore);
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_THAT(said_[0], HasSubstr("is \"store\" for this job: stored they would take about"));
  EXPECT_THAT(said_[0], HasSubstr("(measured: each of 2 agents encodes 12.3k chunks/s on cpu, the "
                                  "disk writes 300 MB/s and reads 400 MB/s), recomputing "));
  EXPECT_THAT(said_[0], HasSubstr("(each of 2 ranks 23.5k chunks/s)"));
  EXPECT_EQ(measured_, 1);
  spec_.data.latents = jobs::LatentsRule::kAuto;
  rates_->write_bytes = 1;
  ASSERT_TRUE(Settle(/*free_bytes=*/uint64_t{1} << 60).ok());
  EXPECT_EQ(spec_.data.latents, jobs::LatentsRule::kStore);
  EXPECT_EQ(measured_, 1);  // by an earlier run
}

TEST_F(LatentsRuleTest, IsDecidedWithoutRatesWhereNoneCanBeMeasured) {
  spec_.train.steps = 1000;
  ASSERT_TRUE(Settle(/*free_bytes=*/uint64_t{1} << 60).ok());
  EXPECT_THAT(said_, ElementsAre(HasSubstr("training reads about")));
  EXPECT_THAT(said_, ElementsAre(HasSubstr("; no rates could be measured: no GPU")));
}

TEST_F(LatentsRuleTest, NothingIsMeasuredWhereThereIsNoRoom) {
  ASSERT_TRUE(Settle(/*free_bytes=*/1000).ok());
  EXPECT_EQ(measured_, 0);
}

TEST_F(LatentsRuleTest, WhatTheJobFileSaysIsLeftAlone) {
  spec_.data.latents = jobs::LatentsRule::kStore;
  ASSERT_TRUE(Settle(/*free_bytes=*/1000).ok());
  EXPECT_EQ(spec_.data.latents, jobs::LatentsRule::kStore);
  EXPECT_FALSE(env_.Exists(dir_.Path(kLatentsRuleFile)));
}

TEST_F(LatentsRuleTest, ADamagedRecordIsNotDecidedAgain) {
  for (const char* damaged : {"", "{", "[]", "{\"latents\": \"auto\"}", "{\"latents\": 1}"}) {
    ASSERT_TRUE(WriteFileAtomically(env_, dir_.Path(kLatentsRuleFile), damaged).ok());
    const absl::Status settled = Settle(/*free_bytes=*/1000);
    EXPECT_TRUE(absl::IsDataLoss(settled)) << damaged;
    EXPECT_THAT(MessageOf(settled), HasSubstr("write \"store\" or \"recompute\""));
  }
}

TEST_F(LatentsRuleTest, CompressedTextCountsAsMore) {
  const std::string name = dir_.Path("text.txt.gz");
  ASSERT_TRUE(env_.Rename(spec_.data.sources[0], name).ok());
  spec_.data.sources = {name};
  ASSERT_TRUE(Settle(/*free_bytes=*/1000).ok());
  // 3 MiB of text, four bytes a token and four tokens a chunk, 2 * 32 half floats each.
  EXPECT_THAT(said_, ElementsAre(HasSubstr("about 25 MB, 1.0 kB are free")));
}

TEST_F(LatentsRuleTest, IdsCountAsTheTextThatTheyStandFor) {
  spec_.data.format = jobs::DataFormat::kTokens;
  ASSERT_TRUE(Settle(/*free_bytes=*/1000).ok());
  EXPECT_THAT(said_, ElementsAre(HasSubstr("about 17 MB, 1.0 kB are free")));
}

}  // namespace
}  // namespace halcyon::coordinator
