// The index of a generation against a list of all pages, and against damage.
#include "storage/extent_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/philox.h"
#include "tests/fuzz/extent_index_parser.h"
#include "tests/testing/mutate.h"

namespace halcyon::storage {
namespace {

constexpr uint64_t kMutants = 20000;

struct Made {
  std::vector<PlacedFile> files;
  std::vector<ShardRecord> records;
  std::map<PageKey, ExtentIndex::Extent> pages;  // each page's extent
};

// Extents of 1 to 40 pages in two files; shard 1 has only its record.
Made MakeFiles() {
  const PhiloxStream stream(6, NoiseStream::kEvaluation, 0, 0);
  uint64_t draw = 0;
  Made made{{{.number = 9, .places = {}}, {.number = 12, .places = {}}}, {}, {}};
  for (uint32_t shard = 0; shard < 4; ++shard) {
    const uint32_t file = shard / 2;
    uint64_t offset = 1000 * shard;
    for (const Split split : {Split::kTrain, Split::kHeldout}) {
      for (const PageKind kind : {PageKind::kTokens, PageKind::kDocumentLengths}) {
        uint32_t page = 0;
        for (uint64_t i = shard == 1 ? 0 : stream.Below(draw++, 5); i > 0; --i) {
          const auto count = static_cast<uint32_t>(1 + stream.Below(draw++, 40));
          const uint32_t page_bytes = 52, bytes = page_bytes * count - (i == 1 ? 20 : 0);
          const ExtentIndex::Extent extent{file, offset, bytes, page_bytes, page, page + count - 1};
          for (; count > page - extent.first_page; ++page) {
            made.pages[{shard, split, kind, page}] = extent;
          }
          ValuePlace& place = made.files[file].places.emplace_back();
          place = {{"", false, {shard, split, kind, page - 1}}, offset, bytes, page_bytes};
          offset += bytes;
        }
      }
    }
    made.files[file].places.push_back({{"", true, {.shard = shard}}, offset, 17, 0});
    made.records.push_back({.dataset = std::string(64, 'a'),
                            .shard = shard,
                            .fence = 1,
                            .pages = shard,
                            .counts = {},
                            .content_digest = std::string(64, 'd')});
  }
  return made;
}

TEST(ExtentIndexTest, FindsEachPageAndNoOther) {
  const Made made = MakeFiles();
  const auto bytes = EncodeExtentIndex(made.files, made.records);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto index = ExtentIndex::Parse(*bytes);
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(index->shards(), 4u);
  EXPECT_EQ(index->extents(), made.files[0].places.size() + made.files[1].places.size());
  EXPECT_EQ(SstNameOf(index->FileNumber(1)), "000012.sst");
  ASSERT_GT(made.pages.size(), 100u);
  for (uint32_t shard = 0; shard < 5; ++shard) {
    for (const Split split : {Split::kTrain, Split::kHeldout}) {
      for (const PageKind kind :
           {PageKind::kTokens, PageKind::kDocumentLengths, PageKind::kLatents}) {
        for (uint32_t page = 0; page < 200; ++page) {
          const PageKey key{shard, split, kind, page};
          const auto found = index->Find(key);
          const auto expected = made.pages.find(key);
          ASSERT_EQ(found.has_value(), expected != made.pages.end()) << Describe(key);
          if (!found) continue;
          EXPECT_EQ(found->file, expected->second.file);
          EXPECT_EQ(found->offset, expected->second.offset);
          EXPECT_EQ(found->bytes, expected->second.bytes);
          EXPECT_EQ(found->first_page, expected->second.first_page);
          EXPECT_EQ(found->last_page, expected->second.last_page);
        }
      }
    }
  }
  for (uint32_t shard = 0; shard < 4; ++shard) {
    EXPECT_EQ(DecodeRecord(shard, index->Record(shard))->pages, shard);
    EXPECT_EQ(index->RecordPlace(shard).file, shard / 2);
    EXPECT_EQ(index->RecordPlace(shard).bytes, 17u);
  }
}

TEST(ExtentIndexTest, FilesThatDoNotHoldTheShardsInOrderAreRefused) {
  Made made = MakeFiles();
  std::swap(made.files[0], made.files[1]);
  EXPECT_TRUE(absl::IsDataLoss(EncodeExtentIndex(made.files, made.records).status()));
  std::swap(made.files[0], made.files[1]);
  made.records.pop_back();
  EXPECT_TRUE(absl::IsDataLoss(EncodeExtentIndex(made.files, made.records).status()));
  made = MakeFiles();
  made.files[1].places.pop_back();
  EXPECT_TRUE(absl::IsDataLoss(EncodeExtentIndex(made.files, made.records).status()));
}

TEST(ExtentIndexTest, NoTruncatedOneIsAccepted) {
  const Made made = MakeFiles();
  const std::string bytes = *EncodeExtentIndex(made.files, made.records);
  for (size_t size = 0; size < bytes.size(); ++size) {
    // In memory of its own, so that the sanitizer sees a read behind it.
    const std::string part = bytes.substr(0, size);
    EXPECT_FALSE(CheckExtentIndexParser(part)) << size;
  }
  EXPECT_FALSE(CheckExtentIndexParser(bytes + "x"));
}

TEST(ExtentIndexTest, AnotherVersionIsNotGuessedAt) {
  const Made made = MakeFiles();
  std::string bytes = *EncodeExtentIndex(made.files, made.records);
  for (const char version : {1, 3}) {
    bytes[16] = version;
    EXPECT_TRUE(absl::IsFailedPrecondition(ExtentIndex::Parse(bytes).status()));
  }
}

// Its sum refuses damage before it is parsed; what would pass must not be read beyond its end.
TEST(ExtentIndexTest, MutantsAnswerWithinTheirBytes) {
  const Made made = MakeFiles();
  const std::string bytes = *EncodeExtentIndex(made.files, made.records);
  uint64_t accepted = 0;
  for (uint64_t mutant = 0; mutant < kMutants; ++mutant) {
    accepted += CheckExtentIndexParser(testing::Mutate(bytes, mutant)) ? 1 : 0;
  }
  EXPECT_GT(accepted, kMutants / 100);
}

// 26 bytes a value: the relative key, offset, bytes, bytes of its first page.
TEST(ValuePlacesTest, PlacesAreReadAsTheyAreWrittenAndMutantsAreRefusedOrFit) {
  const std::string bytes(
      "\0\0\0\3\1\1\0\0\0\7"
      "\x10\0\0\0\0\0\0\0"
      "\x1a\0\0\0"
      "\x1a\0\0\0",
      26);
  const auto places = DecodeValuePlaces(bytes);
  ASSERT_TRUE(places.ok()) << places.status();
  ASSERT_EQ(places->size(), 1u);
  EXPECT_EQ(places->front().key.page, (PageKey{3, Split::kHeldout, PageKind::kTokens, 7}));
  EXPECT_EQ(places->front().offset, 16u);
  EXPECT_EQ(places->front().bytes, 26u);
  for (uint64_t mutant = 0; mutant < kMutants; ++mutant) {
    const auto read = DecodeValuePlaces(testing::Mutate(bytes, mutant));
    if (!read.ok()) {
      EXPECT_TRUE(absl::IsDataLoss(read.status()));
      continue;
    }
    for (const ValuePlace& place : *read) {
      if (place.key.is_record) continue;
      EXPECT_LE(PagesOf(place.bytes, place.page_bytes), place.key.page.page + uint64_t{1});
    }
  }
}

}  // namespace
}  // namespace halcyon::storage
