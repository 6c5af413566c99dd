#include "pipeline/sources/file_shards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace halcyon::pipeline {
namespace {

using nlohmann::json;
using Range = FileShards::Range;

// Two files share shard 0, one without text, one of shards 1 to 3, one without text, two share 4.
FileShards SevenFiles() { return FileShards({0, 0, std::nullopt, 1, std::nullopt, 4, 4}, 5); }

TEST(FileShardsTest, FirstFromPassesOverFilesWithoutText) {
  const FileShards files = SevenFiles();
  EXPECT_EQ(files.FirstFrom(0), 0u);
  EXPECT_EQ(files.FirstFrom(2), 1u);
  EXPECT_EQ(files.FirstFrom(3), 1u);
  EXPECT_EQ(files.FirstFrom(4), 4u);
  EXPECT_EQ(files.FirstFrom(7), 5u);
  EXPECT_EQ(FileShards({0, std::nullopt}, 2).FirstFrom(1), 2u);
}

TEST(FileShardsTest, FilesOfAShard) {
  const FileShards files = SevenFiles();
  EXPECT_EQ(files.FilesOf(0), (Range{0, 1}));
  EXPECT_EQ(files.FilesOf(1), (Range{3, 3}));
  EXPECT_EQ(files.FilesOf(3), (Range{3, 3}));
  EXPECT_EQ(files.FilesOf(4), (Range{5, 6}));
  EXPECT_EQ(FileShards().FilesOf(0), std::nullopt);
}

TEST(FileShardsTest, FactsGiveThemBack) {
  json facts = {{"documents", 7}};
  SevenFiles().AddTo(&facts);
  EXPECT_EQ(facts["shards"], 5);
  EXPECT_EQ(facts["first_shards_of_files"], json::parse("[0, 0, null, 1, null, 4, 4]"));
  EXPECT_EQ(FileShards::FromFacts(facts), SevenFiles());
}

TEST(FileShardsTest, FactsOfAnEarlierVersion) {
  EXPECT_EQ(FileShards::FromFacts({{"shards", 4}, {"shards_of_sources", {3, 0, 1}}}),
            FileShards({0, std::nullopt, 3}, 4));
}

TEST(FileShardsTest, OtherFactsSayNothing) {
  for (const char* facts : {"{}", R"({"shards": 2})", R"({"first_shards_of_files": [0]})",
                            R"({"shards": 2, "first_shards_of_files": "0"})",
                            R"({"shards": 2, "first_shards_of_files": [0, 2]})",
                            R"({"shards": 2, "first_shards_of_files": [1, 0]})",
                            R"({"shards": 2, "shards_of_sources": "3"})"}) {
    EXPECT_EQ(FileShards::FromFacts(json::parse(facts)), FileShards()) << facts;
  }
}

TEST(FileShardsTest, AreOfTheFilesAndShardsThatTheyWereMadeOf) {
  jobs::DataSpec data;
  data.sources = {"/a", "/b"};
  const FileShards files({0, 1}, 3);
  EXPECT_TRUE(files.AreOf(data, 3));
  EXPECT_FALSE(files.AreOf(data, 2));
  data.heldout_sources = {"/c"};
  EXPECT_FALSE(files.AreOf(data, 3));
  EXPECT_FALSE(FileShards().AreOf({}, 3));
}

}  // namespace
}  // namespace halcyon::pipeline
