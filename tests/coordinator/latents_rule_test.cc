#include "coordinator/latents_rule.h"

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
    return SettleLatents(
        env_, dir_.path(), dir_.path(),
        [&](const std::string&) {
          return DiskRoom{free_bytes, 1 << 20};
        },
        [&](const std::string& line) { said_.push_back(line); }, &spec_);
  }

  testing::TempDir dir_;
  Env& env_ = *Env::Posix();
  jobs::JobSpec spec_;
  std::vector<std::string> said_;
};

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
