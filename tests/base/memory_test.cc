#include "base/memory.h"

#include <gtest/gtest.h>

#include "base/env.h"
#include "tests/testing/temp_dir.h"

namespace halcyon {
namespace {

class MemoryLimitTest : public ::testing::Test {
 protected:
  void Put(const std::string& path, const std::string& text) {
    const std::string full = dir_.Path("root") + path;
    ASSERT_TRUE(Env::Posix()->CreateDirs(DirName(full)).ok());
    ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), full, text).ok());
  }
  std::optional<MemoryLimit> Find() { return FindMemoryLimit(dir_.Path("root")); }

  testing::TempDir dir_;
};

TEST_F(MemoryLimitTest, IsTheMachines) {
  Put("/proc/meminfo", "MemFree: 1 kB\nMemTotal:       2048 kB\nMemAvailable: 5 kB\n");
  ASSERT_TRUE(Find());
  EXPECT_EQ(Find()->bytes, 2048u << 10);
  EXPECT_EQ(Find()->what, "of this machine");
}

TEST_F(MemoryLimitTest, IsTheLeastOfTheControlGroupsAbove) {
  Put("/proc/meminfo", "MemTotal:       2048 kB\n");
  Put("/proc/self/cgroup", "0::/a/b\n");
  Put("/sys/fs/cgroup/a/memory.max", "1000000\n");
  Put("/sys/fs/cgroup/a/b/memory.max", "max\n");
  EXPECT_EQ(Find()->bytes, 1000000u);
  EXPECT_EQ(Find()->what, "of this control group");
  Put("/sys/fs/cgroup/a/memory.max", "9000000000\n");
  EXPECT_EQ(Find()->what, "of this machine");
}

TEST_F(MemoryLimitTest, ReadsTheFirstVersionOfControlGroups) {
  Put("/proc/self/cgroup", "9:cpu,cpuacct:/x\n4:memory:/docker/1\n");
  Put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "77\n");
  EXPECT_EQ(Find()->bytes, 77u) << "the group's own folder is not mounted inside a container";
}

TEST_F(MemoryLimitTest, IsUnknownWhereTheSystemReportsNone) { EXPECT_FALSE(Find()); }

TEST_F(MemoryLimitTest, CountsProcessesKilledForWantOfMemory) {
  EXPECT_FALSE(OutOfMemoryKills(dir_.Path("root")));
  Put("/proc/vmstat", "pgfault 8\ndrop_oom_kill 5\noom_kill 3\nnuma_hit 9\n");
  EXPECT_EQ(OutOfMemoryKills(dir_.Path("root")), 3u);
}

TEST(MemoryLimit, OfThisMachineIsSensible) {
  const auto limit = FindMemoryLimit();
  ASSERT_TRUE(limit);
  EXPECT_GT(limit->bytes, 64u << 20);
}

TEST(PeakMemory, GrowsWithWhatIsTouched) {
  const uint64_t before = PeakMemoryBytes();
  EXPECT_GT(before, 0u);
  // More than ever before: the process may use less now than at its peak.
  const std::string touched(before + (32 << 20), 'x');
  EXPECT_GE(PeakMemoryBytes(), touched.size());
}

}  // namespace
}  // namespace halcyon
