// What a reader says of each kind of damage to a published generation.
#include "tests/storage/cache_fixture.h"

namespace halcyon::storage {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using Code = absl::StatusCode;

class CacheDamageTest : public CacheTest {
 protected:
  // A file a shard.
  void SetUp() override { Build(3, {.merged_bytes = 1}); }

  std::string Manifest() { return Generation() + "/manifest.json"; }
  std::vector<std::string> Ssts() { return FilesEnding(Generation(), ".sst"); }

  void EditManifest(const std::string& from, const std::string& to) {
    std::string text = Read(Manifest());
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    Overwrite(Manifest(), text.replace(at, from.size(), to));
  }
};

TEST_F(CacheDamageTest, MissingGeneration) {
  EXPECT_EQ(CodeOf(CacheReader::Open(dir_.Path("none"), kDataset)), Code::kNotFound);
}

TEST_F(CacheDamageTest, MissingManifest) {
  std::filesystem::remove(Manifest());
  EXPECT_EQ(CodeOf(TryOpenReader()), Code::kDataLoss);
}

TEST_F(CacheDamageTest, TornManifest) {
  const std::string good = Read(Manifest());
  for (size_t bytes = 0; bytes + 2 < good.size(); bytes += 7) {
    Overwrite(Manifest(), good.substr(0, bytes));
    EXPECT_EQ(CodeOf(TryOpenReader()), Code::kDataLoss) << bytes;
  }
}

TEST_F(CacheDamageTest, ManifestOfAnotherDataSetOrVersion) {
  EXPECT_EQ(CodeOf(CacheReader::Open(Generation(), kOtherDataset)), Code::kFailedPrecondition);
  EXPECT_TRUE(CacheReader::Open(Generation(), "").ok());
  EditManifest("\"version\": 2", "\"version\": 3");
  EXPECT_EQ(CodeOf(TryOpenReader()), Code::kFailedPrecondition);
  EditManifest("\"version\": 3", "\"version\": 1");
  EXPECT_EQ(CodeOf(TryOpenReader()), Code::kFailedPrecondition);
  EXPECT_THAT(MessageOf(TryOpenReader()), HasSubstr("cache format 1"));
}

TEST_F(CacheDamageTest, ManifestWithAnotherDigest) {
  EditManifest("\"content_digest\": \"", "\"content_digest\": \"0");
  EXPECT_EQ(CodeOf(TryOpenReader()), Code::kDataLoss);
}

TEST_F(CacheDamageTest, ManifestWithAnotherNumberOfShards) {
  EditManifest("\"shards\": 3", "\"shards\": 4");
  EXPECT_THAT(MessageOf(TryOpenReader()), HasSubstr("holds 3 shards, the manifest says 4"));
  EditManifest("\"shards\": 4", "\"shards\": 2");
  EXPECT_EQ(CodeOf(TryOpenReader()), Code::kDataLoss);
}

TEST_F(CacheDamageTest, ManifestThatNamesAFileElsewhere) {
  EditManifest("\"name\": \"", "\"name\": \"../");
  EXPECT_EQ(CodeOf(TryOpenReader()), Code::kDataLoss);
}

TEST_F(CacheDamageTest, EveryMissingFileIsNamed) {
  for (const std::string& path : FilesEnding(Generation(), "")) {
    if (path == Manifest()) continue;
    const std::string good = Read(path);
    std::filesystem::remove(path);
    EXPECT_EQ(CodeOf(TryOpenReader()), Code::kDataLoss);
    EXPECT_THAT(MessageOf(TryOpenReader()), HasSubstr(path));
    Overwrite(path, good);
  }
  EXPECT_TRUE(TryOpenReader().ok());
}

TEST_F(CacheDamageTest, ATruncatedFileIsNamed) {
  const std::string path = Ssts().at(1);
  Truncate(path, 1);
  EXPECT_EQ(CodeOf(TryOpenReader()), Code::kDataLoss);
  EXPECT_THAT(MessageOf(TryOpenReader()), HasSubstr(path));
}

// Wherever the bit, Verify names the file, and no read returns other bytes than were written.
TEST_F(CacheDamageTest, AFlippedBitIsNeverRead) {
  for (const std::string& path : Ssts()) {
    const std::string good = Read(path);
    for (uint64_t offset = 3; offset < good.size(); offset += 211) {
      FlipBit(path, offset, static_cast<int>(offset % 8));
      const auto reader = CacheReader::Open(Generation(), kDataset);
      if (reader.ok()) {
        const absl::Status verified = (*reader)->Verify();
        EXPECT_EQ(CodeOf(verified), Code::kDataLoss) << path << " " << offset;
        EXPECT_THAT(MessageOf(verified), HasSubstr(path));
        for (uint32_t shard = 0; shard < 3; ++shard) {
          for (const auto& [key, value] : PagesOf(shard)) {
            const auto read = (*reader)->Get(key);
            EXPECT_EQ(read.ok() ? *read : value, value);
            EXPECT_THAT(CodeOf(read), AnyOf(Code::kOk, Code::kDataLoss)) << read.status();
          }
        }
      } else {
        EXPECT_EQ(CodeOf(reader), Code::kDataLoss) << reader.status();
      }
      Overwrite(path, good);
    }
  }
}

TEST_F(CacheDamageTest, AFlippedBitInTheIndexIsNoticedWhenOpening) {
  const std::string path = Generation() + "/extents", good = Read(path);
  for (uint64_t offset = 0; offset < good.size(); offset += 7) {
    FlipBit(path, offset, static_cast<int>(offset % 8));
    EXPECT_EQ(CodeOf(TryOpenReader()), Code::kDataLoss) << offset;
    EXPECT_THAT(MessageOf(TryOpenReader()), HasSubstr(path));
    Overwrite(path, good);
  }
}

TEST_F(CacheDamageTest, AGenerationWithoutItsIndexIsNotWhole) {
  EditManifest("\"name\": \"extents\"", "\"name\": \"CURRENT\"");
  EXPECT_EQ(CodeOf(TryOpenReader()), Code::kDataLoss);
}

TEST_F(CacheDamageTest, SwappedShardsAreNoticed) {
  // Of equal size, so that only their contents tell.
  const std::string first = Ssts().at(0);
  const std::string third = Ssts().at(2);
  ASSERT_EQ(std::filesystem::file_size(first), std::filesystem::file_size(third));
  const std::string bytes = Read(first);
  Overwrite(first, Read(third));
  Overwrite(third, bytes);
  EXPECT_EQ(CodeOf(TryOpenReader()), Code::kDataLoss);
}

TEST_F(CacheDamageTest, ReadingLeavesTheFolderAsItWas) {
  const auto snapshot = [this] {
    std::map<std::string, std::string> files;
    for (const std::string& path : FilesEnding(Generation(), "")) files[path] = Read(path);
    return files;
  };
  const auto before = snapshot();
  EXPECT_TRUE(OpenReader()->Verify().ok());
  const auto first = OpenReader();
  const auto second = OpenReader();
  EXPECT_TRUE(first->Get({0, Split::kTrain, PageKind::kTokens, 0}).ok());
  EXPECT_EQ(snapshot(), before);
}

TEST_F(CacheDamageTest, AFolderThatNobodyMayWriteCanBeRead) {
  using std::filesystem::perms;
  std::filesystem::permissions(Generation(), perms::owner_read | perms::owner_exec);
  EXPECT_TRUE(OpenReader()->Verify().ok());
  std::filesystem::permissions(Generation(), perms::owner_all);
}

}  // namespace
}  // namespace halcyon::storage
