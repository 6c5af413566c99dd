#include "base/disk_rate.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "tests/testing/temp_dir.h"

namespace halcyon {
namespace {

TEST(DiskRate, IsMeasuredAndLeavesNothing) {
  const testing::TempDir dir;
  for (const uint64_t bytes : {uint64_t{1}, (uint64_t{1} << 20) + 1}) {
    const auto rate = MeasureDiskRate(dir.path(), bytes);
    ASSERT_TRUE(rate.ok()) << rate.status();
    EXPECT_GT(rate->write_bytes, 0);
    EXPECT_GT(rate->read_bytes, 0);
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(DiskRate, NamesAFolderThatIsNotThere) {
  const auto rate = MeasureDiskRate("/nowhere/at/all", 1);
  EXPECT_TRUE(absl::IsNotFound(rate.status()));
  EXPECT_THAT(MessageOf(rate.status()), ::testing::HasSubstr("/nowhere/at/all"));
}

}  // namespace
}  // namespace halcyon
