#include "pipeline/samples/source_windows.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/pipeline/cache_fixture.h"

namespace halcyon::pipeline {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

constexpr uint32_t kWindow = 4;

class SourceWindowsTest : public CachedDataTest {
 protected:
  // Shards with so many chunks of text each.
  void WriteChunks(const std::vector<uint32_t>& chunks, Split split = Split::kTrain) {
    std::vector<ShardDocuments> shards;
    for (const uint32_t count : chunks) {
      shards.emplace_back();
      // Its end-of-text is the last token of the last chunk.
      if (count > 0)
        shards.back()[split == Split::kTrain ? 0 : 1].push_back(Document(count * 2 - 1, 7));
    }
    WriteTokens(shards);
  }
  // Sources of so many files each.
  static jobs::DataSpec Data(const std::vector<size_t>& files) {
    jobs::DataSpec data;
    for (size_t i = 0; i < files.size(); ++i) {
      jobs::SourceSpec source{"s" + std::to_string(i), {}, 1};
      for (size_t f = 0; f < files[i]; ++f) {
        source.paths.push_back("/" + source.name + "/" + std::to_string(f));
      }
      data.source.push_back(source);
    }
    return data;
  }
};

auto IsPart(const std::string& name, double share, uint64_t begin, uint64_t items) {
  return AllOf(Field(&MixturePart::name, name), Field(&MixturePart::share, share),
               Field(&MixturePart::begin, begin), Field(&MixturePart::items, items));
}

TEST_F(SourceWindowsTest, AWindowIsOfOneSource) {
  // Chunks 0 to 9 are of s0, 10 to 24 of s1: windows of chunks 0-3, 4-7; 12-15, 16-19, 20-23.
  WriteChunks({6, 4, 0, 15});
  const auto parts = WindowsOfSources(Data({1, 2}), FileShards({0, 2, 3}, 4), *Pack(2), kWindow);
  ASSERT_TRUE(parts.ok()) << parts.status();
  EXPECT_THAT(*parts, ElementsAre(IsPart("s0", 0.5, 0, 2), IsPart("s1", 0.5, 3, 3)));
}

TEST_F(SourceWindowsTest, WithoutSharesAllWindowsAreOnePart) {
  WriteChunks({6, 4, 15});
  jobs::DataSpec data = Data({3});
  EXPECT_THAT(*WindowsOfSources(data, {}, *Pack(2), kWindow), ElementsAre(IsPart("", 1, 0, 6)));
  data.source.clear();
  EXPECT_THAT(*WindowsOfSources(data, {}, *Pack(2), kWindow), ElementsAre(IsPart("", 1, 0, 6)));
}

TEST_F(SourceWindowsTest, ASourceWithoutAWindowIsNamed) {
  // s1 has as many chunks as a window, but in two of them.
  WriteChunks({6, 4, 15});
  const auto parts = WindowsOfSources(Data({1, 1, 1}), FileShards({0, 1, 2}, 3), *Pack(2), kWindow);
  EXPECT_TRUE(absl::IsInvalidArgument(parts.status()));
  EXPECT_THAT(MessageOf(parts.status()),
              HasSubstr("data.source \"s1\": its training text of 4 chunks fills no window of 4"));
}

TEST_F(SourceWindowsTest, TokensThatDoNotSayTheirSourcesAreRefused) {
  WriteChunks({8, 8});
  const std::vector<FileShards> unfit = {{}, {{0}, 1}, {{0, 1}, 3}, {{0, 1, std::nullopt}, 2}};
  for (const FileShards& files : unfit) {
    const auto parts = WindowsOfSources(Data({1, 1}), files, *Pack(2), kWindow);
    EXPECT_TRUE(absl::IsFailedPrecondition(parts.status()));
  }
}

auto IsHeldoutPart(const std::string& name, uint64_t begin, uint64_t count) {
  return AllOf(Field(&HeldoutWindows::name, name), Field(&HeldoutWindows::begin, begin),
               Field(&HeldoutWindows::count, count));
}

TEST_F(SourceWindowsTest, HeldOutTextIsDividedAlike) {
  WriteChunks({6, 4, 3, 9}, Split::kHeldout);
  jobs::DataSpec data = Data({1, 2});
  data.heldout_sources = {"/h"};
  EXPECT_THAT(HeldoutWindowsOf(data, FileShards({0, 1, 2, 3}, 4), *Pack(2), kWindow),
              ElementsAre(IsHeldoutPart("s0", 0, 1), IsHeldoutPart("s1", 2, 1),
                          IsHeldoutPart("heldout_sources", 4, 1)));
  EXPECT_THAT(HeldoutWindowsOf(data, FileShards({0, 2, std::nullopt, 3}, 4), *Pack(2), kWindow),
              ElementsAre(IsHeldoutPart("s0", 0, 2), IsHeldoutPart("s1", 3, 0),
                          IsHeldoutPart("heldout_sources", 4, 1)));
  EXPECT_THAT(HeldoutWindowsOf(data, FileShards({0, 1, 2}, 3), *Pack(2), kWindow), ElementsAre());
  EXPECT_THAT(HeldoutWindowsOf(Data({4}), FileShards({0, 1, 2, 3}, 4), *Pack(2), kWindow),
              ElementsAre());
}

}  // namespace
}  // namespace halcyon::pipeline
