// An unfinished cache: many results taken in at once, files merged, files lost or damaged, owners
// that follow each other.
#include <fcntl.h>
#include <sys/resource.h>

#include "storage/merge_plan.h"
#include "tests/storage/cache_fixture.h"
#include "tests/testing/faulty_env.h"
#include "tests/testing/unreadable_env.h"

namespace halcyon::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using Code = absl::StatusCode;

class CacheBuildTest : public CacheTest {
 protected:
  // Of so small files that a few shards make one.
  static CacheOwner Merging(uint64_t bytes = 25'000, uint64_t claim = 1) {
    return {.claim = claim, .merged_bytes = bytes};
  }
  void Ingest(CacheBuilder& builder, const std::vector<uint32_t>& shards) {
    std::vector<ShardResult> results;
    for (const uint32_t shard : shards) results.push_back({WriteShard(shard), shard, 1});
    for (const auto& answer : builder.Ingest(results)) {
      EXPECT_TRUE(answer.ok()) << answer.status();
    }
  }
  // Names of the SST files in the folder.
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const std::string& path : FilesEnding(BuildDir(), ".sst")) {
      names.push_back(BaseName(path));
    }
    return names;
  }
  void ExpectGenerationOf(uint32_t shards) {
    const auto reader = OpenReader();
    ASSERT_EQ(reader->shards(), shards);
    for (uint32_t shard = 0; shard < shards; ++shard) {
      for (const auto& [key, value] : PagesOf(shard)) EXPECT_EQ(*reader->Get(key), value);
    }
    EXPECT_TRUE(reader->Verify().ok()) << reader->Verify();
  }
  // The digest of a data set of so many shards, each taken in and published by itself.
  std::string DigestOf(uint32_t shards) {
    std::vector<ShardRecord> records;
    for (uint32_t shard = 0; shard < shards; ++shard) {
      ShardDigest digest;
      for (const auto& [key, value] : PagesOf(shard)) digest.Add(key, value);
      records.emplace_back().content_digest = digest.HexDigest();
    }
    return DatasetDigest(records);
  }
};

TEST_F(CacheBuildTest, ManyResultsAreTakenInTogetherAndTheOthersRefusedByName) {
  auto builder = OpenBuilder();
  ASSERT_TRUE(builder->Ingest({{WriteShard(3), 3, 1}}).at(0).ok());
  SstFile damaged = WriteShard(1);
  FlipBit(damaged.path, 100);
  const SstFile late = WriteShard(4, 6);
  const SstFile once = WriteShard(5);
  const auto answers = builder->Ingest({{WriteShard(0), 0, 1},
                                        {damaged, 1, 1},
                                        {WriteShard(2), 2, 1},
                                        {WriteShard(3), 3, 1},
                                        {late, 4, 7},
                                        {once, 5, 1},
                                        {once, 5, 1}});
  std::vector<Code> codes;
  for (const auto& answer : answers) codes.push_back(CodeOf(answer));
  EXPECT_THAT(codes, ElementsAre(Code::kOk, Code::kDataLoss, Code::kOk, Code::kAlreadyExists,
                                 Code::kAborted, Code::kOk, Code::kAlreadyExists));
  EXPECT_EQ(answers[2]->shard, 2u);
  EXPECT_THAT(builder->Committed(), ElementsAre(0, 2, 3, 5));
  EXPECT_THAT(OpenBuilder()->Committed(), ElementsAre(0, 2, 3, 5));
}

TEST_F(CacheBuildTest, AFileElsewhereIsRefused) {
  const SstFile file = WriteShard(0);
  const std::string elsewhere = dir_.Path("elsewhere.sst");
  std::filesystem::rename(file.path, elsewhere);
  EXPECT_EQ(CodeOf(OpenBuilder()->Ingest({{{elsewhere, file.file_checksum, file.bytes}, 0, 1}})[0]),
            Code::kInvalidArgument);
}

TEST_F(CacheBuildTest, AdjacentFilesAreMergedAndTheDigestStays) {
  auto builder = OpenBuilder(Merging());
  Ingest(*builder, {0, 1, 2, 3, 5, 6, 7, 8, 9});
  ASSERT_TRUE(*builder->MergeSome());
  EXPECT_THAT(Names(), UnorderedElementsAre("merged-1-0-3.sst", "shard-5.sst", "shard-6.sst",
                                            "shard-7.sst", "shard-8.sst", "shard-9.sst"));
  ASSERT_TRUE(*builder->MergeSome());
  EXPECT_FALSE(*builder->MergeSome()) << "shards 8 and 9 may yet be joined by more";
  EXPECT_THAT(Names(), UnorderedElementsAre("merged-1-0-3.sst", "merged-1-5-7.sst", "shard-8.sst",
                                            "shard-9.sst"));
  builder = OpenBuilder(Merging(25'000, 2));
  EXPECT_THAT(builder->Committed(), SizeIs(9));
  EXPECT_EQ(CodeOf(builder->Ingest({{WriteShard(2), 2, 1}})[0]), Code::kAlreadyExists);
  ASSERT_TRUE(builder->RemoveLeftovers([](const std::string&) { return false; }).ok());
  Ingest(*builder, {4, 10});
  const auto published = builder->Publish(Generation(), 11);
  ASSERT_TRUE(published.ok()) << published.status();
  EXPECT_EQ(published->content_digest, DigestOf(11));
  EXPECT_THAT(Names(), UnorderedElementsAre("merged-1-0-3.sst", "shard-4.sst", "merged-1-5-7.sst",
                                            "merged-2-8-10.sst"));
  EXPECT_THAT(FilesEnding(Generation(), ".sst"), SizeIs(4));
  std::filesystem::remove_all(BuildDir());
  ExpectGenerationOf(11);
}

TEST(MergePlan, TakesWhatFollowsWithoutAGapAndIsSmall) {
  HeldFiles files;
  const auto add = [&](uint32_t first, uint32_t shards, uint64_t bytes) {
    HeldFile& file = files[first];
    file.bytes = bytes;
    for (uint32_t i = 0; i < shards; ++i) file.shards.push_back({first + i, 1, 1, ""});
  };
  const auto next = [&](MergeWhat what) { return NextMerge(files, 100, what); };
  EXPECT_THAT(next(MergeWhat::kAll), IsEmpty());
  add(0, 1, 60);
  EXPECT_THAT(next(MergeWhat::kAll), IsEmpty()) << "one is no merge";
  add(1, 2, 39);
  EXPECT_THAT(next(MergeWhat::kFull), IsEmpty());
  EXPECT_THAT(next(MergeWhat::kAll), ElementsAre(0, 1));
  add(3, 1, 100);  // large enough: stays as it is
  add(4, 1, 50);
  EXPECT_THAT(next(MergeWhat::kFull), IsEmpty());
  add(6, 1, 50);  // 5 is missing
  EXPECT_THAT(next(MergeWhat::kFull), IsEmpty());
  add(7, 3, 50);
  add(10, 1, 1);
  EXPECT_THAT(next(MergeWhat::kFull), ElementsAre(6, 7));
}

TEST_F(CacheBuildTest, AMissingOrShortenedFileUndoesItsShardsAlone) {
  Ingest(*OpenBuilder(), {0, 1, 2, 3});
  std::filesystem::remove(SstPath(1));
  auto builder = OpenBuilder();
  EXPECT_THAT(builder->Committed(), ElementsAre(0, 2, 3));
  ASSERT_THAT(notes_, SizeIs(1));
  EXPECT_THAT(notes_[0], HasSubstr("made again: 1; "));
  EXPECT_THAT(notes_[0], HasSubstr(SstPath(1) + " is missing"));
  Truncate(SstPath(0), 1);
  std::filesystem::remove(SstPath(3));
  builder = OpenBuilder();
  EXPECT_THAT(builder->Committed(), ElementsAre(2));
  EXPECT_THAT(notes_[0], HasSubstr("made again: 2; "));
  EXPECT_THAT(notes_[0], HasSubstr(SstPath(0)));
  EXPECT_THAT(notes_[0], HasSubstr("and likewise 1 more"));
  EXPECT_THAT(OpenBuilder()->Committed(), ElementsAre(2));
  EXPECT_THAT(notes_, IsEmpty()) << "said once";
  Ingest(*builder, {0, 1, 3});
  ASSERT_TRUE(builder->Publish(Generation(), 4).ok());
  ExpectGenerationOf(4);
}

// Wherever the bit: found before or while publishing and only that file is made again, or in the
// generation by a reader (a file that is large enough is not read again to be published).
TEST_F(CacheBuildTest, AFlippedBitInAFileUndoesItsShardsAlone) {
  for (const uint64_t merged_bytes : {uint64_t{25'000}, uint64_t{1}}) {
    const std::string good = (Ingest(*OpenBuilder(), {0, 1, 2, 3}), Read(SstPath(2)));
    uint64_t undone = 0, in_generation = 0;
    for (uint64_t offset = 7; offset < good.size(); offset += 703) {
      SCOPED_TRACE(offset);
      FlipBit(SstPath(2), offset, static_cast<int>(offset % 8));
      auto builder = OpenBuilder(Merging(merged_bytes));
      EXPECT_THAT(builder->Committed(), ElementsAre(0, 1, 2, 3));
      const auto published = builder->Publish(Generation(), 4);
      if (published.ok()) {
        ++in_generation;
        EXPECT_EQ(merged_bytes, 1u) << "a merge reads every page";
        const auto reader = CacheReader::Open(Generation(), kDataset);
        EXPECT_EQ(CodeOf(reader.ok() ? (*reader)->Verify() : reader.status()), Code::kDataLoss);
      } else {
        ++undone;
        EXPECT_EQ(CodeOf(published), Code::kDataLoss) << published.status();
        EXPECT_THAT(MessageOf(published.status()), HasSubstr("shards 2-2"));
        EXPECT_THAT(MessageOf(published.status()), HasSubstr("run the same command again"));
        EXPECT_FALSE(Env::Posix()->Exists(Generation()));
        EXPECT_THAT(OpenBuilder()->Committed(), ElementsAre(0, 1, 3));
        Ingest(*OpenBuilder(), {2});
        ASSERT_TRUE(OpenBuilder(Merging(merged_bytes))->Publish(Generation(), 4).ok());
        ExpectGenerationOf(4);
      }
      std::filesystem::remove_all(BuildDir());
      std::filesystem::remove_all(Generation());
      Ingest(*OpenBuilder(), {0, 1, 2, 3});
    }
    EXPECT_GT(undone, 1u);
    EXPECT_EQ(in_generation > 0, merged_bytes == 1);
    std::filesystem::remove_all(BuildDir());
  }
}

TEST_F(CacheBuildTest, AFileOfAnotherLeaseUnderTheSameNameIsNoticed) {
  Ingest(*OpenBuilder(), {0, 1});
  WriteShard(1, 9);  // as many bytes, the same pages, another record
  auto builder = OpenBuilder();
  EXPECT_THAT(builder->Committed(), ElementsAre(0, 1));
  const auto published = builder->Publish(Generation(), 2);
  EXPECT_EQ(CodeOf(published), Code::kDataLoss);
  EXPECT_THAT(MessageOf(published.status()), HasSubstr("not the one that was taken in"));
}

TEST_F(CacheBuildTest, ADamagedOrLostLogStopsTheStage) {
  Ingest(*OpenBuilder(), {0});
  const std::string log = JoinPath(BuildDir(), "log/00000001");
  const std::string good = Read(log);
  Overwrite(log, "x" + good);
  EXPECT_EQ(CodeOf(TryOpenBuilder()), Code::kDataLoss);
  EXPECT_THAT(MessageOf(TryOpenBuilder().status()), HasSubstr(log));
  std::filesystem::remove_all(DirName(log));
  EXPECT_EQ(CodeOf(TryOpenBuilder()), Code::kDataLoss);
  EXPECT_THAT(MessageOf(TryOpenBuilder().status()), HasSubstr("ingest log is missing"));
  EXPECT_THAT(Names(), ElementsAre(SstName(0))) << "nothing is removed";
}

TEST_F(CacheBuildTest, WhatCannotBeReadIsNeitherDamagedNorRemoved) {
  Ingest(*OpenBuilder(), {0, 1});
  testing::UnreadableEnv env(*Env::Posix());
  env.MakeUnreadable("log/00000001");
  const auto opened = CacheBuilder::Open(env, BuildDir(), kDataset, {}, &notes_);
  EXPECT_FALSE(opened.ok() || absl::IsDataLoss(opened.status())) << opened.status();
  EXPECT_THAT(Names(), ElementsAre(SstName(0), SstName(1)));
  // A folder in its place: neither a file nor missing.
  const std::string good = Read(SstPath(0));
  std::filesystem::remove(SstPath(0));
  std::filesystem::create_directory(SstPath(0));
  EXPECT_FALSE(TryOpenBuilder().ok() || absl::IsDataLoss(TryOpenBuilder().status()));
  std::filesystem::remove(SstPath(0));
  Overwrite(SstPath(0), good);
  EXPECT_THAT(OpenBuilder()->Committed(), ElementsAre(0, 1));
}

TEST_F(CacheBuildTest, LeftoversAreRemovedAndWhatIsKeptOrTakenInIsNot) {
  auto builder = OpenBuilder();
  Ingest(*builder, {0});
  WriteShard(1);
  WriteShard(2);
  Overwrite(SstPath(3) + ".tmp", "begun");
  Overwrite(SstPath(4) + ".tmp", "begun");
  Overwrite(JoinPath(BuildDir(), "note"), "of a person");
  const auto keep = [](const std::string& name) {
    return name.starts_with(SstName(2)) || name.starts_with(SstName(4));
  };
  ASSERT_TRUE(builder->RemoveLeftovers(keep).ok());
  EXPECT_THAT(*Env::Posix()->ListDir(BuildDir()),
              ElementsAre("log", "note", SstName(0), SstName(2), SstName(4) + ".tmp"));
}

TEST_F(CacheBuildTest, AnOwnerThatHasLostItsClaimCommitsAndRemovesNothing) {
  auto lost = absl::OkStatus();
  CacheOwner owner = Merging();
  owner.check = [&lost] { return lost; };
  auto builder = OpenBuilder(owner);
  Ingest(*builder, {0, 1, 2, 3});
  lost = Aborted("taken over");
  EXPECT_EQ(CodeOf(builder->Ingest({{WriteShard(4), 4, 1}})[0]), Code::kAborted);
  EXPECT_EQ(CodeOf(builder->RemoveLeftovers([](const std::string&) { return false; })),
            Code::kAborted);
  EXPECT_EQ(CodeOf(builder->MergeSome()), Code::kAborted);
  EXPECT_EQ(CodeOf(builder->Publish(Generation(), 4)), Code::kAborted);
  EXPECT_FALSE(Env::Posix()->Exists(Generation()));
  auto next = OpenBuilder(Merging(25'000, 2));
  EXPECT_THAT(next->Committed(), ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(CodeOf(TryOpenBuilder()), Code::kAborted) << "the claim has ended";
  EXPECT_TRUE(next->Publish(Generation(), 4).ok());
}

TEST_F(CacheBuildTest, AFullDiskWhileIngestingCommitsNothingAndTheNextGoesOn) {
  testing::FaultyEnv env(Env::Posix());
  auto builder = *CacheBuilder::Open(env, BuildDir(), kDataset, {}, &notes_);
  const std::vector<ShardResult> results = {{WriteShard(0), 0, 1}, {WriteShard(1), 1, 1}};
  env.FailWritesAfter(50);
  for (const auto& answer : builder->Ingest(results)) {
    EXPECT_EQ(CodeOf(answer), Code::kResourceExhausted);
  }
  EXPECT_THAT(builder->Committed(), IsEmpty());
  EXPECT_THAT(OpenBuilder()->Committed(), IsEmpty()) << "a torn line is no commit";
  env.StopFailing();
  for (const auto& answer : builder->Ingest(results)) EXPECT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(OpenBuilder()->Committed(), ElementsAre(0, 1));
}

TEST_F(CacheBuildTest, AFullDiskWhilePublishingLeavesNoGeneration) {
  testing::FaultyEnv env(Env::Posix());
  auto builder = *CacheBuilder::Open(env, BuildDir(), kDataset, Merging(), &notes_);
  Ingest(*builder, {0, 1, 2, 3, 4});
  for (const uint64_t bytes : {0, 100, 700}) {
    env.FailWritesAfter(bytes);
    EXPECT_EQ(CodeOf(builder->Publish(Generation(), 5)), Code::kResourceExhausted) << bytes;
    EXPECT_FALSE(Env::Posix()->Exists(Generation()));
    env.StopFailing();
  }
  ASSERT_TRUE(builder->Publish(Generation(), 5).ok());
  ExpectGenerationOf(5);
}

TEST_F(CacheBuildTest, HundredsOfShardsNeedFewOpenFiles) {
  constexpr uint32_t kShards = 400;
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 256;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  // Merged into few files, and all of them as they are.
  for (const uint64_t merged_bytes : {kMergedFileBytes, uint64_t{1}}) {
    auto builder = OpenBuilder(Merging(merged_bytes));
    for (uint32_t shard = 0; shard < kShards; shard += 40) {
      std::vector<uint32_t> batch;
      for (uint32_t i = 0; i < 40; ++i) batch.push_back(shard + i);
      Ingest(*builder, batch);
    }
    const auto published = builder->Publish(Generation(), kShards);
    ASSERT_TRUE(published.ok()) << published.status();
    EXPECT_THAT(FilesEnding(Generation(), ".sst"), SizeIs(merged_bytes == 1 ? kShards : 1));
    ExpectGenerationOf(kShards);
    std::filesystem::remove_all(BuildDir());
    std::filesystem::remove_all(Generation());
  }
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace halcyon::storage
