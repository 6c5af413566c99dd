#include "pipeline/shard_plan.h"

#include <filesystem>

#include "base/digest.h"
#include "base/philox.h"
#include "tests/pipeline/source_fixture.h"

namespace halcyon::pipeline {
namespace {

using jobs::DocumentRule;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Lines of few characters, so that every kind of neighbourhood of lines occurs.
std::string RandomText(uint64_t seed, uint64_t lines) {
  const PhiloxStream stream(seed, NoiseStream::kEvaluation, 0, 0);
  static constexpr std::string_view kLines[] = {
      "", "", " ", "\t", "word", "Entry", "  indented", "\tindented", "two words  ", "\r", "x\r"};
  std::string text;
  for (uint64_t i = 0; i < lines; ++i) {
    text.append(kLines[stream.Below(i, std::size(kLines))]).append("\n");
  }
  return text;
}

using ShardPlanTest = SourceTest;

TEST_F(ShardPlanTest, ShardsHaveAboutTheBytesAskedFor) {
  data_.documents = DocumentRule::kLines;
  data_.shard_bytes = 10;
  Write("a.txt", "one\ntwo\nthree\nfour\nfive\nsix");
  const auto plan = Plan();
  ASSERT_EQ(plan.size(), 3u);
  EXPECT_EQ(plan[0], (SourceShard{0, dir_.Path("a.txt"), 0, 14, Xxh3("one\ntwo\nthree\n")}));
  EXPECT_EQ(plan[1], (SourceShard{1, dir_.Path("a.txt"), 14, 24, Xxh3("four\nfive\n")}));
  EXPECT_EQ(plan[2], (SourceShard{2, dir_.Path("a.txt"), 24, 27, Xxh3("six")}));
}

TEST_F(ShardPlanTest, ShardsOfAllSourcesAreNumberedTogether) {
  Write("a.txt", "one");
  Write("empty.txt", "");
  Write("blank.txt", " \n\t\r\n");
  Write("b.txt", "two");
  const auto plan = Plan();
  ASSERT_EQ(plan.size(), 2u);
  EXPECT_EQ(plan[1].shard, 1u);
  EXPECT_EQ(plan[1].path, dir_.Path("b.txt"));
  EXPECT_THAT(Documents(), ElementsAre("one", "two"));
}

TEST_F(ShardPlanTest, TheShardsOfEachSourceAreCounted) {
  data_.documents = DocumentRule::kLines;
  data_.shard_bytes = 4;
  Write("a.txt", "one\ntwo\nsix");
  Write("blank.txt", "\n");
  Write("b.txt", "one");
  const auto plan = PlanShards(data_);
  ASSERT_TRUE(plan.ok());
  const std::vector<uint32_t> shards = ShardsOfSources(data_, *plan);
  EXPECT_THAT(shards, ElementsAre(3, 0, 1));
  EXPECT_EQ(ShardsOfSources(nlohmann::json{{kShardsOfSources, shards}}), shards);
  EXPECT_THAT(ShardsOfSources(nlohmann::json{{kShardsOfSources, "3"}}), ElementsAre());
  EXPECT_THAT(ShardsOfSources(nlohmann::json::object()), ElementsAre());
}

TEST_F(ShardPlanTest, ADocumentIsNeverCut) {
  data_.shard_bytes = 1000;
  const std::string big(3 << 20, 'x');  // larger than the planner reads at a time
  Write("a.txt", "A\n\n" + big + "\n   more\n\nB\n");
  data_.documents = DocumentRule::kFile;
  EXPECT_EQ(Plan().size(), 1u);
  data_.documents = DocumentRule::kEntries;
  const auto plan = Plan();
  ASSERT_EQ(plan.size(), 2u);
  EXPECT_EQ(plan[1].begin,
            std::string("A\n\n").size() + big.size() + std::string("\n   more\n\n").size());
  EXPECT_THAT(Documents(), ElementsAre("A", big + "\n   more", "B"));
}

// Shards of any size must give the documents of the file as a whole.
TEST_F(ShardPlanTest, EveryCutGivesTheSameDocuments) {
  for (const auto rule :
       {DocumentRule::kLines, DocumentRule::kParagraphs, DocumentRule::kEntries}) {
    data_.documents = rule;
    for (uint64_t seed = 0; seed < 20; ++seed) {
      data_.sources.clear();
      const std::string text = RandomText(seed, 60);
      Write("a.txt", text);
      data_.shard_bytes = 1 << 20;
      const auto whole = Documents();
      for (data_.shard_bytes = 1; data_.shard_bytes < 60; data_.shard_bytes += 3) {
        ASSERT_EQ(Documents(), whole) << "seed " << seed << ", shards of " << data_.shard_bytes;
        uint64_t end = 0;
        for (const SourceShard& shard : Plan()) {
          ASSERT_GE(shard.begin, end);
          ASSERT_EQ(shard.xxh3, Xxh3(text.substr(shard.begin, shard.end - shard.begin)));
          end = shard.end;
        }
      }
    }
  }
}

TEST_F(ShardPlanTest, NoDocumentAtAllIsAnError) {
  Write("a.txt", "");
  Write("b.txt", "\n \n");
  EXPECT_EQ(PlanShards(data_).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(PlanShards(data_).status()), HasSubstr("no document in 2 source file(s)"));
}

TEST_F(ShardPlanTest, TheDigestsAreThoseOfTheFiles) {
  data_.shard_bytes = 7;
  data_.documents = DocumentRule::kLines;
  const std::string text = RandomText(5, 3000);
  Write("a.txt", text);
  Write("empty.txt", "");
  Write("b.txt", "two");
  const auto plan = PlanShards(data_);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->source_digests,
              ElementsAre(Sha256::Of(text), Sha256::Of(""), Sha256::Of("two")));
}

TEST_F(ShardPlanTest, AMissingSourceIsNamed) {
  data_.sources = {dir_.Path("missing.txt")};
  EXPECT_TRUE(absl::IsNotFound(PlanShards(data_).status()));
  EXPECT_THAT(MessageOf(PlanShards(data_).status()), HasSubstr("missing.txt"));
}

}  // namespace
}  // namespace halcyon::pipeline
