#include "pipeline/sources/shard_plan.h"

#include <utility>

#include "base/digest.h"
#include "base/env.h"
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
  EXPECT_EQ(plan[0], (SourceRange{dir_.Path("a.txt"), 0, 14, Xxh3("one\ntwo\nthree\n")}));
  EXPECT_EQ(plan[1], (SourceRange{dir_.Path("a.txt"), 14, 24, Xxh3("four\nfive\n")}));
  EXPECT_EQ(plan[2], (SourceRange{dir_.Path("a.txt"), 24, 27, Xxh3("six")}));
}

// The paths of each shard's ranges, without their folder.
std::vector<std::vector<std::string>> NamesOf(const ShardPlan& plan) {
  std::vector<std::vector<std::string>> names;
  for (const Shard& shard : plan.shards) {
    names.emplace_back();
    for (const SourceRange& range : shard) names.back().push_back(BaseName(range.path));
  }
  return names;
}

TEST_F(ShardPlanTest, SmallFilesShareAShard) {
  data_.shard_bytes = 10;
  Write("a.txt", "one");
  Write("empty.txt", "");
  Write("blank.txt", " \n\t\r\n");
  Write("mark.txt", "\xef\xbb\xbf\n");
  Write("b.txt", "two");
  Write("c.txt", "four");
  Write("d.txt", "x");
  const auto plan = PlanShards(data_);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(NamesOf(*plan),
              ElementsAre(ElementsAre("a.txt", "b.txt", "c.txt"), ElementsAre("d.txt")));
  EXPECT_EQ(plan->files, FileShards({0, std::nullopt, std::nullopt, std::nullopt, 0, 0, 1}, 2));
  EXPECT_THAT(Documents(), ElementsAre("one", "two", "four", "x"));
}

// A file that is cut shares none of its shards.
TEST_F(ShardPlanTest, OnlyWholeFilesShareAShard) {
  data_.documents = DocumentRule::kLines;
  data_.shard_bytes = 8;
  Write("a.txt", "a\n");
  Write("cut.txt", "one\ntwo\nsix\n");
  Write("b.txt", "b\n");
  Write("c.txt", "c\n");
  const auto plan = PlanShards(data_);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(NamesOf(*plan), ElementsAre(ElementsAre("a.txt"), ElementsAre("cut.txt"),
                                          ElementsAre("cut.txt"), ElementsAre("b.txt", "c.txt")));
}

TEST_F(ShardPlanTest, AShardIsOfOnePartOfTheText) {
  Write("a.txt", "a");
  Write("b.txt", "b");
  Write("c.txt", "c");
  Write("d.txt", "d");
  const std::vector<std::string> files = std::exchange(data_.sources, {});
  data_.source = {{"web", {files[0], files[1]}, 1}, {"books", {files[2]}, 2}};
  data_.heldout_sources = {files[3]};
  const auto plan = PlanShards(data_);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(NamesOf(*plan), ElementsAre(ElementsAre("a.txt", "b.txt"), ElementsAre("c.txt"),
                                          ElementsAre("d.txt")));
}

TEST_F(ShardPlanTest, ATaskOfManyFilesIsAShortMessage) {
  constexpr size_t kFiles = 3000;
  std::vector<CutSource> sources;
  for (size_t i = 0; i < kFiles; ++i) {
    const std::string path = "/" + std::string(200, 'x') + std::to_string(i);
    data_.sources.push_back(path);
    sources.push_back({"", {{.path = path, .begin = 0, .end = 1, .xxh3 = 0}}});
  }
  const auto plan = JoinSources(data_, std::move(sources));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->shards.size(), 3u);
  EXPECT_EQ(RangesOf(*plan).size(), kFiles);
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
        for (const SourceRange& range : Plan()) {
          ASSERT_GE(range.begin, end);
          ASSERT_EQ(range.xxh3, Xxh3(text.substr(range.begin, range.end - range.begin)));
          end = range.end;
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
