#include "base/disk_space.h"

#include <gtest/gtest.h>

namespace halcyon {
namespace {

TEST(FreeBytes, IsPositiveHereAndAnErrorNowhere) {
  const auto here = FreeBytes(::testing::TempDir());
  ASSERT_TRUE(here.ok()) << here.status();
  EXPECT_GT(*here, 0u);
  EXPECT_TRUE(absl::IsNotFound(FreeBytes("/no/such/folder").status()));
}

}  // namespace
}  // namespace halcyon
