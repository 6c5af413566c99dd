#include "storage/source_digests.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "tests/storage/damage.h"
#include "tests/testing/mutate.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::storage {
namespace {

class SourceDigestsTest : public ::testing::Test {
 protected:
  void SetUp() override { Overwrite(source_, "abc"); }

  testing::TempDir dir_;
  const std::string source_ = dir_.Path("source.txt");
  SourceDigests digests_{*Env::Posix(), dir_.Path("sources")};
};

TEST_F(SourceDigestsTest, ASourceIsReadOnceWhileItStaysTheSame) {
  EXPECT_EQ(*digests_.Of(source_), Sha256::Of("abc"));
  // A remembered digest that no reading could give shows that none took place.
  SourceRecord record = *digests_.Find(source_);
  EXPECT_EQ(record.size, 3u);
  record.sha256 = "remembered";
  ASSERT_TRUE(digests_.Put(record).ok());
  EXPECT_EQ(*SourceDigests(*Env::Posix(), dir_.Path("sources")).Of(source_), "remembered");
  EXPECT_EQ(*digests_.ReadAnew(source_), Sha256::Of("abc"));
  EXPECT_EQ(*digests_.Of(source_), Sha256::Of("abc"));
}

TEST_F(SourceDigestsTest, ASourceIsReadAgainWhenAnyOfItsMarksDiffers) {
  ASSERT_TRUE(digests_.Of(source_).ok());
  const SourceRecord good = *digests_.Find(source_);
  for (int mark = 0; mark < 4; ++mark) {
    SourceRecord record = good;
    record.sha256 = "stale";
    if (mark == 0) record.size += 1;
    if (mark == 1) record.mtime_ns -= 1;
    if (mark == 2) record.inode += 1;
    if (mark == 3) record.ctime_ns -= 1;
    ASSERT_TRUE(digests_.Put(record).ok());
    EXPECT_EQ(*digests_.Of(source_), Sha256::Of("abc")) << mark;
  }
}

TEST_F(SourceDigestsTest, ADamagedRecordIsReadAnew) {
  ASSERT_TRUE(digests_.Of(source_).ok());
  Overwrite(FilesEnding(dir_.Path("sources"), ".json").front(), "{");
  EXPECT_EQ(*digests_.Of(source_), Sha256::Of("abc"));
}

TEST_F(SourceDigestsTest, AMissingSourceIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(digests_.Of(dir_.Path("none")).status()));
}

TEST(SourceRecords, MutantsAreRefusedOrRoundTrip) {
  const std::string original = EncodeSource({"/p", 1, 2, 3, "s"});
  for (uint64_t mutant = 0; mutant < 10000; ++mutant) {
    const auto record = DecodeSource(testing::Mutate(original, mutant));
    if (!record.ok()) {
      EXPECT_TRUE(absl::IsDataLoss(record.status()));
      continue;
    }
    EXPECT_EQ(EncodeSource(*DecodeSource(EncodeSource(*record))), EncodeSource(*record));
  }
}

}  // namespace
}  // namespace halcyon::storage
