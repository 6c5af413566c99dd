#include "pipeline/sources/source_plans.h"

#include <filesystem>
#include <string>
#include <vector>

#include "base/digest.h"
#include "tests/pipeline/source_fixture.h"
#include "tests/pipeline/token_file_bytes.h"

namespace halcyon::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SourcePlansTest : public SourceTest {
 protected:
  // Without small files.
  explicit SourcePlansTest(uint64_t small_bytes_max = 0) : small_bytes_max_(small_bytes_max) {
    data_.documents = jobs::DocumentRule::kLines;
    data_.shard_bytes = 4;
  }
  // By another process, which knows only what is remembered.
  absl::StatusOr<ShardPlan> Planned(const std::vector<std::string>& digests) {
    return SourcePlans(env_, dir_.Path("sources"), small_bytes_max_).PlanShards(data_, digests);
  }
  std::vector<std::string> PlanFiles() {
    std::vector<std::string> files;
    const std::string folder = dir_.Path("sources/plans");
    if (!env_.Exists(folder)) return files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      files.push_back(entry.path().string());
    }
    return files;
  }
  void ExpectChanged(const std::vector<std::string>& digests, const std::string& how) {
    const absl::Status status = Planned(digests).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(MessageOf(status), HasSubstr("b.txt: the file changed while the job ran (" + how));
  }

  Env& env_ = *Env::Posix();
  const uint64_t small_bytes_max_;
  SourcePlans plans_{env_, dir_.Path("sources"), small_bytes_max_};
};

TEST_F(SourcePlansTest, ThePlanIsThatOfReadingTheSources) {
  Write("a.txt", "one\ntwo\nsix\n");
  Write("blank.txt", "\n");
  Write("b.txt", "seven");
  const auto digests = plans_.DigestsOf(data_);
  ASSERT_TRUE(digests.ok()) << digests.status();
  EXPECT_THAT(*digests,
              ElementsAre(Sha256::Of("one\ntwo\nsix\n"), Sha256::Of("\n"), Sha256::Of("seven")));
  EXPECT_EQ(PlanFiles().size(), 3u);
  const auto planned = Planned(*digests), read = PlanShards(data_);
  ASSERT_TRUE(planned.ok()) << planned.status();
  EXPECT_EQ(planned->shards, read->shards);
  EXPECT_EQ(planned->source_digests, read->source_digests);
  EXPECT_EQ(planned->shards.size(), 4u);
}

// The remembered plan is another one than reading would give.
TEST_F(SourcePlansTest, WhatIsRememberedIsNotReadAgain) {
  Write("a.txt", "one\ntwo\n");
  const auto digests = plans_.DigestsOf(data_);
  ASSERT_TRUE(digests.ok());
  CutSource other{(*digests)[0], {{.path = data_.sources[0], .begin = 0, .end = 4, .xxh3 = 7}}};
  ASSERT_TRUE(
      WriteFileAtomically(env_, PlanFiles().at(0), EncodeSourcePlan(data_, data_.sources[0], other))
          .ok());
  const auto planned = Planned(*digests);
  ASSERT_TRUE(planned.ok()) << planned.status();
  EXPECT_EQ(RangesOf(*planned), other.ranges);
  ASSERT_TRUE(plans_.ReadAnew(data_).ok());
  EXPECT_EQ(Planned(*digests)->shards, PlanShards(data_)->shards);
}

TEST_F(SourcePlansTest, APlanOfIdsIsOfTheirIndexToo) {
  data_.format = jobs::DataFormat::kTokens;
  data_.shard_bytes = 1;
  Write("a.bin", Integers({1, 2, 3}, 2));
  Write("a.idx", MegatronIndexOf(8, 2, {{1}, {2}}));
  const auto digests = plans_.DigestsOf(data_);
  ASSERT_TRUE(digests.ok()) << digests.status();
  const auto planned = Planned(*digests);
  ASSERT_TRUE(planned.ok()) << planned.status();
  EXPECT_EQ(planned->shards, PlanShards(data_)->shards);
  EXPECT_EQ(planned->shards.size(), 2u);
  Replace("a.idx", MegatronIndexOf(8, 2, {{1}, {1}, {1}}));
  EXPECT_THAT(MessageOf(Planned(*digests).status()),
              HasSubstr("a.idx: the file changed while the job ran (its SHA-256 differs"));
  // The plan that is remembered of the ids, which are as they were, is of the earlier index.
  const auto now = plans_.DigestsOf(data_);
  ASSERT_TRUE(now.ok());
  EXPECT_EQ(now->at(0), digests->at(0));
  EXPECT_NE(now->at(1), digests->at(1));
  EXPECT_EQ(Planned(*now)->shards.size(), 3u);
  // Another setting is another plan.
  data_.end_of_document = 2;
  const size_t before = PlanFiles().size();
  EXPECT_TRUE(Planned(*now).ok());
  EXPECT_EQ(PlanFiles().size(), before + 2);
}

TEST_F(SourcePlansTest, ADamagedOrMissingPlanIsMadeAgain) {
  Write("a.txt", "one\ntwo\n");
  const auto digests = plans_.DigestsOf(data_);
  ASSERT_TRUE(digests.ok());
  const auto read = PlanShards(data_);
  const std::string file = PlanFiles().at(0), text = *env_.ReadFile(file);
  for (size_t i = 0; i <= text.size(); ++i) {
    std::string damaged = i == text.size() ? "" : text;
    if (i < text.size()) damaged[i] ^= 1;
    PutFile(file, damaged);
    ASSERT_EQ(Planned(*digests)->shards, read->shards) << i;
    ASSERT_EQ(*env_.ReadFile(file), text) << i;
  }
  std::filesystem::remove(file);
  EXPECT_EQ(Planned(*digests)->shards, read->shards);
}

TEST_F(SourcePlansTest, OtherSettingsHavePlansOfTheirOwn) {
  Write("a.txt", "one\ntwo\n");
  const auto digests = plans_.DigestsOf(data_);
  ASSERT_TRUE(digests.ok());
  data_.shard_bytes = 100;
  EXPECT_EQ(Planned(*digests)->shards.size(), 1u);
  data_.documents = jobs::DocumentRule::kFile;
  EXPECT_EQ(Planned(*digests)->shards.size(), 1u);
  EXPECT_EQ(PlanFiles().size(), 3u);
}

TEST_F(SourcePlansTest, ASourceWithOtherBytesThanExpectedIsNamed) {
  Write("a.txt", "one");
  Write("b.txt", "two");
  const auto digests = plans_.DigestsOf(data_);
  ASSERT_TRUE(digests.ok());
  EXPECT_TRUE(Planned(*digests).ok());
  Replace("b.txt", "TWO");
  ExpectChanged(*digests, "its SHA-256 differs");
  Replace("b.txt", "two and more");
  ExpectChanged(*digests, "its SHA-256 differs");
  std::filesystem::remove(dir_.Path("b.txt"));
  ExpectChanged(*digests, "it is gone");
}

TEST_F(SourcePlansTest, ASourceThatLostItsTextIsOneThatChanged) {
  Write("a.txt", "\n");
  EXPECT_EQ(Planned({Sha256::Of("one")}).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Planned({Sha256::Of("\n")}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SourcePlansTest, TheFirstErrorIsThatOfTheFirstSource) {
  Write("a.txt", "one");
  data_.sources.push_back(dir_.Path("missing.txt"));
  data_.sources.push_back(dir_.Path("also-missing.txt"));
  const absl::Status status = plans_.DigestsOf(data_).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("/missing.txt"));
}

TEST_F(SourcePlansTest, APlanOfAnotherFileIsNone) {
  const CutSource plan{"d", {{.path = "/a", .begin = 3, .end = 9, .xxh3 = ~uint64_t{0}}}};
  const std::string text = EncodeSourcePlan(data_, "/a", plan);
  EXPECT_EQ(*DecodeSourcePlan(data_, "/a", text), plan);
  EXPECT_TRUE(absl::IsNotFound(DecodeSourcePlan(data_, "/b", text).status()));
}

class SmallSourcesTest : public SourcePlansTest {
 protected:
  SmallSourcesTest() : SourcePlansTest(/*small_bytes_max=*/100) {
    std::filesystem::create_directories(dir_.Path("more"));
    Write("a.txt", "one\ntwo\n");
    Write("b.txt", "two");
    Write("more/c.txt", "six\n");
    const auto digests = plans_.DigestsOf(data_);
    EXPECT_TRUE(digests.ok()) << digests.status();
    digests_ = *digests;
  }
  std::string FolderFile() {
    return dir_.Path("sources/plans/" + PlanFileName(data_, dir_.Path("")));
  }
  FolderPlans Remembered() {
    return *DecodeFolderPlans(data_, dir_.Path(""), *env_.ReadFile(FolderFile()));
  }

  std::vector<std::string> digests_;
};

TEST_F(SmallSourcesTest, OfAFolderAreRememberedTogether) {
  EXPECT_THAT(digests_,
              ElementsAre(Sha256::Of("one\ntwo\n"), Sha256::Of("two"), Sha256::Of("six\n")));
  EXPECT_EQ(PlanFiles().size(), 2u);
  EXPECT_EQ(Remembered().size(), 2u);
  const auto others = std::filesystem::directory_iterator(dir_.Path("sources"));
  EXPECT_EQ(std::distance(begin(others), end(others)), 1) << "plans/ alone";
  EXPECT_EQ(Planned(digests_)->shards, PlanShards(data_)->shards);
}

TEST_F(SmallSourcesTest, WhatIsRememberedIsNotReadAgain) {
  FolderPlans others = Remembered();
  SourceRange& range = others.at(data_.sources[1]).plan.ranges.at(0);
  range.xxh3 = 7;
  const SourceRange changed = range;
  PutFile(FolderFile(), EncodeFolderPlans(data_, dir_.Path(""), others));
  EXPECT_EQ(RangesOf(*Planned(digests_)).at(2), changed);
  ASSERT_TRUE(plans_.ReadAnew(data_).ok());
  EXPECT_EQ(Planned(digests_)->shards, PlanShards(data_)->shards);
}

TEST_F(SmallSourcesTest, AFileThatChangesIsReadAgainAndOneThatIsGoneForgotten) {
  Replace("b.txt", "three");
  std::filesystem::remove(dir_.Path("a.txt"));
  data_.sources.erase(data_.sources.begin());
  const auto digests = plans_.DigestsOf(data_);
  ASSERT_TRUE(digests.ok()) << digests.status();
  EXPECT_THAT(*digests, ElementsAre(Sha256::Of("three"), Sha256::Of("six\n")));
  EXPECT_EQ(Remembered().size(), 1u);
  // What other jobs name in the folder stays.
  Write("d.txt", "four");
  data_.sources = {data_.sources.back()};
  ASSERT_TRUE(plans_.DigestsOf(data_).ok());
  EXPECT_EQ(Remembered().size(), 2u);
}

TEST_F(SmallSourcesTest, ADamagedFileOfAFolderIsMadeAgain) {
  const auto read = PlanShards(data_);
  const std::string text = *env_.ReadFile(FolderFile());
  for (size_t i = 0; i <= text.size(); ++i) {
    std::string damaged = i == text.size() ? "" : text;
    if (i < text.size()) damaged[i] ^= 1;
    PutFile(FolderFile(), damaged);
    ASSERT_EQ(Planned(digests_)->shards, read->shards) << i;
    ASSERT_EQ(*env_.ReadFile(FolderFile()), text) << i;
  }
}

TEST_F(SmallSourcesTest, OneWithOtherBytesThanExpectedIsNamed) {
  EXPECT_TRUE(Planned(digests_).ok());
  Replace("b.txt", "TWO");
  ExpectChanged(digests_, "its SHA-256 differs");
  std::filesystem::remove(dir_.Path("b.txt"));
  ExpectChanged(digests_, "it is gone");
}

TEST_F(SmallSourcesTest, LargeOnesHaveFilesOfTheirOwn) {
  Write("large.txt", std::string(100, 'x'));
  const auto digests = plans_.DigestsOf(data_);
  ASSERT_TRUE(digests.ok());
  EXPECT_EQ(PlanFiles().size(), 3u);
  EXPECT_EQ(Remembered().size(), 2u);
  EXPECT_EQ(Planned(*digests)->shards, PlanShards(data_)->shards);
}

TEST_F(SmallSourcesTest, IdsWithAnIndexHaveAPlanOfTheirOwn) {
  data_.sources.clear();
  data_.format = jobs::DataFormat::kTokens;
  data_.shard_bytes = 1;
  Write("i.bin", Integers({1, 2, 3}, 2));
  Write("i.idx", MegatronIndexOf(8, 2, {{1}, {2}}));
  const auto digests = plans_.DigestsOf(data_);
  ASSERT_TRUE(digests.ok()) << digests.status();
  Replace("i.idx", MegatronIndexOf(8, 2, {{1}, {1}, {1}}));
  const auto now = plans_.DigestsOf(data_);
  ASSERT_TRUE(now.ok()) << now.status();
  EXPECT_EQ(Planned(*now)->shards.size(), 3u);
}

}  // namespace
}  // namespace halcyon::pipeline
