#include "base/disk_space.h"

#include <gtest/gtest.h>

namespace halcyon {
namespace {

TEST(FreeRoom, IsPositiveHereAndAnErrorNowhere) {
  const auto here = FreeRoom(::testing::TempDir());
  ASSERT_TRUE(here.ok()) << here.status();
  EXPECT_GT(here->bytes, 0u);
  EXPECT_GT(here->files, 0u);
  EXPECT_TRUE(absl::IsNotFound(FreeRoom("/no/such/folder").status()));
}

TEST(CheckRoom, NamesWhatIsShort) {
  const DiskRoom needed{3 << 20, 5};
  EXPECT_TRUE(CheckRoom({3 << 20, 5}, needed, "/home/x", "starting").ok());
  const absl::Status bytes = CheckRoom({(3 << 20) - 1, 5}, needed, "/home/x", "starting");
  EXPECT_TRUE(absl::IsResourceExhausted(bytes));
  EXPECT_EQ(MessageOf(bytes),
            "/home/x: No space left on device: 2 MiB are free, starting takes 3 MiB");
  const absl::Status files = CheckRoom({3 << 20, 4}, needed, "/home/x", "starting");
  EXPECT_TRUE(absl::IsResourceExhausted(files));
  EXPECT_EQ(
      MessageOf(files),
      "/home/x: No space left on device: 4 more files can be made (inodes), starting takes 5");
}

}  // namespace
}  // namespace halcyon
