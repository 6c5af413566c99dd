// A data set's life, step by step, and every refusal on the way in.
#include "storage/page_cache.h"

#include "base/digest.h"
#include "tests/storage/cache_fixture.h"

namespace halcyon::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Code = absl::StatusCode;

using PageCacheTest = CacheTest;

TEST_F(PageCacheTest, ReadsBackWhatWasWrittenAlsoWithoutTheUnfinishedCache) {
  const auto published = Build(3);
  std::filesystem::remove_all(BuildDir());
  auto reader = OpenReader();
  ASSERT_EQ(reader->shards(), 3u);
  for (uint32_t shard = 0; shard < 3; ++shard) {
    EXPECT_EQ(reader->Record(shard)->pages, PagesOf(shard).size());
    for (const auto& [key, value] : PagesOf(shard)) EXPECT_EQ(*reader->Get(key), value);
  }
  EXPECT_EQ(CodeOf(reader->Get({0, Split::kTrain, PageKind::kTokens, 3})), Code::kNotFound);
  EXPECT_EQ(CodeOf(reader->Get({3, Split::kTrain, PageKind::kTokens, 0})), Code::kNotFound);
  EXPECT_EQ(reader->dataset(), kDataset);
  EXPECT_EQ(reader->content_digest(), published.content_digest);
  EXPECT_EQ(published.counts, (std::map<std::string, uint64_t>{{"pages", 8}, {"shards", 3}}));
  EXPECT_TRUE(reader->Verify().ok()) << reader->Verify();
}

// Pages of about 100 kB, so that they fill several extents; the last one is smaller. A page that is
// larger than the one before, and one after a gap, begin another extent.
TEST_F(PageCacheTest, VisitsRunsOfPagesAcrossExtents) {
  Pages pages;
  for (uint32_t page = 0; page < 40; ++page) {
    const PageKey key{0, Split::kTrain, PageKind::kTokens, page};
    pages[key] = Value(key, page < 30 ? 25'000 : 26'000 + page);
  }
  const PageKey apart{0, Split::kTrain, PageKind::kTokens, 50},
      last{0, Split::kTrain, PageKind::kTokens, 51};
  pages[apart] = Value(apart, 25'000);
  pages[last] = Value(last, 3);
  auto builder = OpenBuilder();
  ASSERT_TRUE(builder->Ingest({{WriteShard(kDataset, 0, 1, pages), 0, 1}}).at(0).ok());
  ASSERT_TRUE(builder->Publish(Generation(), 1).ok());
  auto reader = OpenReader();
  for (const auto& [key, value] : pages) EXPECT_EQ(*reader->Get(key), value) << Describe(key);
  for (uint32_t first = 0; first < 40; ++first) {
    PageKey next{0, Split::kTrain, PageKind::kTokens, first};
    const absl::Status visited =
        reader->Visit(next, 40 - first, [&](const PageKey& key, std::string_view value) {
          EXPECT_EQ(key, next);
          EXPECT_EQ(value, pages[next]);
          ++next.page;
          return absl::OkStatus();
        });
    EXPECT_TRUE(visited.ok()) << visited;
    EXPECT_EQ(next.page, 40u);
  }
  const auto ignore = [](const PageKey&, std::string_view) { return absl::OkStatus(); };
  EXPECT_EQ(CodeOf(reader->Visit({0, Split::kTrain, PageKind::kTokens, 30}, 11, ignore)),
            Code::kNotFound);
  EXPECT_EQ(CodeOf(reader->Get({0, Split::kTrain, PageKind::kTokens, 49})), Code::kNotFound);
  EXPECT_EQ(CodeOf(reader->Get({0, Split::kTrain, PageKind::kTokens, 52})), Code::kNotFound);
  EXPECT_TRUE(reader->Verify().ok()) << reader->Verify();
}

TEST_F(PageCacheTest, AnErrorOfWhoUsesAPageEndsTheVisit) {
  Build(1);
  int pages = 0;
  const absl::Status visited = OpenReader()->Visit(
      {0, Split::kTrain, PageKind::kTokens, 0}, 3, [&](const PageKey&, std::string_view) {
        return ++pages == 2 ? Aborted("enough") : absl::OkStatus();
      });
  EXPECT_EQ(CodeOf(visited), Code::kAborted);
  EXPECT_EQ(pages, 2);
}

TEST_F(PageCacheTest, PublishedBytesAreThoseOfTheFiles) {
  const auto published = Build(2);
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(Generation())) {
    if (entry.path().filename() != "manifest.json") bytes += entry.file_size();
  }
  EXPECT_EQ(published.bytes, bytes);
}

TEST_F(PageCacheTest, ADataSetWithoutShardsIsOne) {
  EXPECT_EQ(Build(0).content_digest, Sha256::Of(""));
  EXPECT_TRUE(OpenReader()->Verify().ok());
}

// The oracle puts the bytes together by the words of docs/latent_cache_format.md.
TEST_F(PageCacheTest, ContentDigestIsOverRelativeKeysAndValues) {
  const auto record = OpenBuilder()->Ingest({{WriteShard(2), 2, 1}}).at(0);
  Sha256 expected;
  for (const auto& [key, value] : PagesOf(2)) {
    const char split = static_cast<char>(key.split);
    const char page = static_cast<char>(key.page);
    expected.Update(std::string{0, 0, 0, 2, split, 1, 0, 0, 0, page} + value);
  }
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->content_digest, expected.HexDigest());
}

TEST_F(PageCacheTest, ContentDigestKnowsContentsOnly) {
  const auto digest = [this](const std::string& dataset, uint64_t fence, const Pages& pages) {
    std::filesystem::remove_all(BuildDir());
    auto builder = CacheBuilder::Open(*Env::Posix(), BuildDir(), dataset, {}, &notes_);
    const SstFile file = WriteShard(dataset, 0, fence, pages);
    EXPECT_TRUE((*builder)->Ingest({{file, 0, 1}}).at(0).ok());
    const auto published = (*builder)->Publish(Generation(), 1);
    EXPECT_TRUE(published.ok()) << published.status();
    std::filesystem::remove_all(Generation());
    return published->content_digest;
  };
  const std::string same = digest(kDataset, 1, PagesOf(0));
  EXPECT_EQ(same, digest(kOtherDataset, 9, PagesOf(0)));
  Pages fewer = PagesOf(0);
  fewer.erase(fewer.begin());
  EXPECT_NE(same, digest(kDataset, 1, fewer));
}

TEST_F(PageCacheTest, TheIngestIsTheCommit) {
  {
    auto builder = OpenBuilder();
    ASSERT_TRUE(builder->Ingest({{WriteShard(0, 4), 0, 4}}).at(0).ok());
    ASSERT_TRUE(builder->Ingest({{WriteShard(2, 5), 2, 4}}).at(0).ok());
  }
  auto builder = OpenBuilder();
  EXPECT_THAT(builder->Committed(), ElementsAre(0, 2));
  EXPECT_EQ(CodeOf(builder->Ingest({{WriteShard(0, 4), 0, 6}}).at(0)), Code::kAlreadyExists);
  const auto ingested = builder->Ingest({{WriteShard(1, 7), 1, 7}}).at(0);
  ASSERT_TRUE(ingested.ok()) << ingested.status();
  ASSERT_TRUE(builder->Publish(Generation(), 3).ok());
  const ShardRecord record = *OpenReader()->Record(2);
  EXPECT_EQ(record.dataset, kDataset);
  EXPECT_EQ(record.shard, 2u);
  EXPECT_EQ(record.fence, 5u);
  EXPECT_EQ(record.pages, 4u);
  EXPECT_EQ(record.counts.at("pages"), 4u);
}

TEST_F(PageCacheTest, AnUnfinishedWriterLeavesNothing) {
  {
    auto writer = ShardWriter::Create(SstPath(0), kDataset, 0, 1);
    for (const auto& [key, value] : PagesOf(0)) ASSERT_TRUE((*writer)->Add(key, value).ok());
    EXPECT_FALSE(Env::Posix()->Exists(SstPath(0)));
  }
  EXPECT_THAT(*Env::Posix()->ListDir(BuildDir()), ElementsAre("log"));
}

TEST_F(PageCacheTest, TheWriterRefusesWhatIsNoPageOfItsShard) {
  auto writer = ShardWriter::Create(SstPath(3), kDataset, 3, 1);
  const PageKey first{3, Split::kTrain, PageKind::kTokens, 0};
  const PageKey second{3, Split::kTrain, PageKind::kTokens, 1};
  const PageKey foreign{4, Split::kTrain, PageKind::kTokens, 0};
  EXPECT_EQ(CodeOf((*writer)->Add(foreign, Value(foreign, 1))), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf((*writer)->Add(first, "bytes")), Code::kDataLoss);
  EXPECT_EQ(CodeOf((*writer)->Add(first, Value(second, 1))), Code::kDataLoss);
  EXPECT_TRUE((*writer)->Add(second, Value(second, 1)).ok());
  EXPECT_EQ(CodeOf((*writer)->Add(first, Value(first, 1))), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf((*writer)->Add(second, Value(second, 1))), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf(ShardWriter::Create(SstPath(3), "abc", 3, 1)), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf(ShardWriter::Create(dir_.Path("none/x"), kDataset, 3, 1)), Code::kNotFound);
}

TEST_F(PageCacheTest, AnOlderLeaseIsFencedOff) {
  auto builder = OpenBuilder();
  EXPECT_EQ(CodeOf(builder->Ingest({{WriteShard(0, 6), 0, 7}}).at(0)), Code::kAborted);
  EXPECT_TRUE(builder->Ingest({{WriteShard(0, 7), 0, 7}}).at(0).ok());
}

TEST_F(PageCacheTest, IngestRefusesAnotherShardOrDataSet) {
  auto builder = OpenBuilder();
  EXPECT_EQ(CodeOf(builder->Ingest({{WriteShard(2), 0, 1}}).at(0)), Code::kDataLoss);
  const SstFile other = WriteShard(kOtherDataset, 0, 1, PagesOf(0));
  EXPECT_EQ(CodeOf(builder->Ingest({{other, 0, 1}}).at(0)), Code::kDataLoss);
  // The keys cannot tell these two apart: their fingerprints start alike.
  const std::string twin = kDataset.substr(0, 62) + "02";
  EXPECT_EQ(CodeOf(builder->Ingest({{WriteShard(twin, 0, 1, PagesOf(0)), 0, 1}}).at(0)),
            Code::kDataLoss);
  EXPECT_THAT(builder->Committed(), ElementsAre());
}

TEST_F(PageCacheTest, IngestRefusesEveryDamagedByte) {
  auto builder = OpenBuilder();
  const SstFile file = WriteShard(0);
  const std::string good = Read(file.path);
  EXPECT_EQ(file.bytes, good.size());
  // A prime step, and each byte of the footer.
  for (uint64_t offset = 0; offset < good.size(); offset += offset + 60 < good.size() ? 89 : 1) {
    FlipBit(file.path, offset, static_cast<int>(offset % 8));
    EXPECT_EQ(CodeOf(builder->Ingest({{file, 0, 1}}).at(0)), Code::kDataLoss) << offset;
    Overwrite(file.path, good);
  }
  for (const uint64_t bytes : {uint64_t{1}, uint64_t{60}, uint64_t{5000}, file.bytes}) {
    Truncate(file.path, bytes);
    EXPECT_EQ(CodeOf(builder->Ingest({{file, 0, 1}}).at(0)), Code::kDataLoss) << bytes;
    Overwrite(file.path, good);
  }
  EXPECT_THAT(builder->Committed(), ElementsAre());
  EXPECT_TRUE(builder->Ingest({{file, 0, 1}}).at(0).ok());
}

TEST_F(PageCacheTest, IngestRefusesOtherBytesThanTheProducerWrote) {
  auto builder = OpenBuilder();
  SstFile file = WriteShard(0);
  file.file_checksum = "00000000";
  EXPECT_EQ(CodeOf(builder->Ingest({{file, 0, 1}}).at(0)), Code::kDataLoss);
  file.file_checksum = "no hex";
  EXPECT_EQ(CodeOf(builder->Ingest({{file, 0, 1}}).at(0)), Code::kInvalidArgument);
  file.path += "-gone";
  file.file_checksum = "00000000";
  EXPECT_FALSE(builder->Ingest({{file, 0, 1}}).at(0).ok());
  EXPECT_THAT(builder->Committed(), ElementsAre());
}

TEST_F(PageCacheTest, PublishWantsAllShardsAndNoOthers) {
  auto builder = OpenBuilder();
  ASSERT_TRUE(builder->Ingest({{WriteShard(0), 0, 1}}).at(0).ok());
  ASSERT_TRUE(builder->Ingest({{WriteShard(2), 2, 1}}).at(0).ok());
  const auto missing = builder->Publish(Generation(), 3);
  EXPECT_EQ(CodeOf(missing), Code::kFailedPrecondition);
  EXPECT_THAT(MessageOf(missing.status()), HasSubstr("shard 1 of 3"));
  EXPECT_EQ(CodeOf(builder->Publish(Generation(), 1)), Code::kFailedPrecondition);
  EXPECT_FALSE(Env::Posix()->Exists(Generation()));
  ASSERT_TRUE(builder->Ingest({{WriteShard(1), 1, 1}}).at(0).ok());
  EXPECT_TRUE(builder->Publish(Generation(), 3).ok());
  EXPECT_EQ(CodeOf(builder->Publish(Generation(), 3)), Code::kAlreadyExists);
}

TEST_F(PageCacheTest, PublishReplacesWhatAnAttemptLeft) {
  ASSERT_TRUE(Env::Posix()->CreateDirs(Generation() + ".tmp").ok());
  Overwrite(Generation() + ".tmp/000009.sst", "rest");
  Build(1);
  EXPECT_FALSE(Env::Posix()->Exists(Generation() + ".tmp"));
  EXPECT_TRUE(OpenReader()->Verify().ok());
}

TEST_F(PageCacheTest, AnUnfinishedCacheBelongsToOneDataSet) {
  ASSERT_TRUE(OpenBuilder()->Ingest({{WriteShard(0), 0, 1}}).at(0).ok());
  const std::string twin = kDataset.substr(0, 62) + "02";
  for (const std::string& other : {kOtherDataset, twin}) {
    EXPECT_EQ(CodeOf(CacheBuilder::Open(*Env::Posix(), BuildDir(), other, {}, &notes_)),
              Code::kFailedPrecondition);
  }
}

}  // namespace
}  // namespace halcyon::storage
