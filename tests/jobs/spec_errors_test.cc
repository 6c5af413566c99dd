#include "jobs/spec_errors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace halcyon::jobs {
namespace {

// The definition, by recursion.
size_t SlowDistance(const std::string& a, const std::string& b) {
  if (a.empty()) return b.size();
  if (b.empty()) return a.size();
  const size_t replaced = SlowDistance(a.substr(1), b.substr(1)) + (a[0] == b[0] ? 0 : 1);
  size_t least =
      std::min({replaced, SlowDistance(a.substr(1), b) + 1, SlowDistance(a, b.substr(1)) + 1});
  if (a.size() > 1 && b.size() > 1 && a[0] == b[1] && a[1] == b[0]) {
    least = std::min(least, SlowDistance(a.substr(2), b.substr(2)) + 1);
  }
  return least;
}

TEST(EditDistance, EqualsItsDefinition) {
  const std::vector<std::string> words = {"",      "a",     "ab",    "ba",    "steps",
                                          "step",  "stpes", "spets", "every", "ever",
                                          "layer", "relay", "aaaa",  "abab"};
  for (const std::string& a : words) {
    for (const std::string& b : words) {
      EXPECT_EQ(EditDistance(a, b), SlowDistance(a, b)) << a << " " << b;
    }
  }
}

class Advice : public ::testing::Test {
 protected:
  std::string ForKey(const std::string& section, const std::string& name) {
    return AdviceForKey(keys_, section, name);
  }
  std::string ForSection(const std::string& section) { return AdviceForSection(keys_, section); }

  JobSpec spec_;
  const std::vector<SpecKey> keys_ = KeysOf(spec_);
};

TEST_F(Advice, AMisspellingGetsTheNearestKeyOfItsTable) {
  EXPECT_EQ(ForKey("autoencoder", "chunksize"), "did you mean \"chunk_size\"?");
  EXPECT_EQ(ForKey("train", "step"), "did you mean \"steps\"?");
  EXPECT_EQ(ForKey("train", "leaning_rate"), "did you mean \"learning_rate\"?");
  EXPECT_EQ(ForKey("", "sed"), "did you mean \"seed\"?");
}

TEST_F(Advice, APartOfANameOrANameWithAPrefixIsRecognised) {
  EXPECT_EQ(ForKey("train", "warmup"), "did you mean \"warmup_steps\"?");
  EXPECT_EQ(ForKey("model", "num_layers"), "did you mean \"layers\"?");
}

TEST_F(Advice, AKeyOfAnotherTableIsSentThere) {
  EXPECT_EQ(ForKey("data", "vocab_size"), "it belongs in [tokenizer]; move it there");
  EXPECT_EQ(ForKey("launch", "hidden_size"),
            "it belongs in [autoencoder] or in [model]; move it there");
  EXPECT_EQ(ForKey("train", "seed"),
            "it belongs at the top of the file, before the first table; move it there");
}

TEST_F(Advice, AMisspellingOfAnotherTablesKeyNamesTheTable) {
  EXPECT_EQ(ForKey("checkpoint", "vocabsize"), "did you mean \"vocab_size\" in [tokenizer]?");
}

TEST_F(Advice, NothingNearListsTheTablesKeys) {
  EXPECT_EQ(ForKey("checkpoint", "zzz"), "remove it, or use one of every, keep");
}

TEST_F(Advice, ATableGetsTheNearestTable) {
  EXPECT_EQ(ForSection("modle"), "did you mean [model]?");
  EXPECT_EQ(ForSection("autoencoder.trian"), "did you mean [autoencoder.train]?");
  EXPECT_EQ(ForSection("zzzzzzzz"),
            "remove it, or use one of [data], [tokenizer], [autoencoder], [autoencoder.train], "
            "[model], [train], [checkpoint], [eval], [launch], [launch.slurm]");
}

TEST(SpecErrors, AreReportedByLineInTheOrderFound) {
  SpecErrors errors("job.toml");
  EXPECT_TRUE(errors.ToStatus().ok());
  errors.Add(7, "train.steps", "late");
  errors.Add(2, "name", "first");
  errors.Add(7, "train.batch", "later");
  EXPECT_EQ(errors.ToStatus().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      MessageOf(errors.ToStatus()),
      "job.toml:2: name: first\njob.toml:7: train.steps: late\njob.toml:7: train.batch: later");
  EXPECT_TRUE(errors.Has("name"));
  EXPECT_FALSE(errors.Has("seed"));
}

}  // namespace
}  // namespace halcyon::jobs
