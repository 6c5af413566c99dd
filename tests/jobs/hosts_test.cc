#include "jobs/hosts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace halcyon::jobs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Hosts, AHostHasANameAndPerhapsSlots) {
  EXPECT_EQ(*ParseHost("n1"), (Host{"n1", 0}));
  EXPECT_EQ(*ParseHost("gpu-07.lab:4"), (Host{"gpu-07.lab", 4}));
  for (const char* bad : {"", ":4", "n1:", "n1:0", "n1:1025", "n1:x", "n1:2:3", "-n", "a b", "n1;x",
                          "$(reboot)", "n\n1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseHost(bad).status())) << bad;
  }
}

TEST(Hosts, NoneIsNamedTwice) {
  EXPECT_EQ(ParseHosts({"n1:2", "n2"})->size(), 2u);
  const auto twice = ParseHosts({"n1", "n2", "n1:3"});
  EXPECT_THAT(MessageOf(twice.status()), HasSubstr("\"n1\" is named twice"));
}

TEST(Hosts, AHostfileIsOpenMpis) {
  const auto hosts = ParseHostfile("# our machines\nn1 slots=4\n\n  n2   # no slots\n", "hosts");
  ASSERT_TRUE(hosts.ok()) << hosts.status();
  EXPECT_THAT(*hosts, ElementsAre(Host{"n1", 4}, Host{"n2", 0}));
  EXPECT_THAT(MessageOf(ParseHostfile("n1\nn2 slot=4\n", "/etc/hosts.txt").status()),
              HasSubstr("/etc/hosts.txt:2: \"n2 slot=4\""));
  EXPECT_THAT(MessageOf(ParseHostfile("n1 slots=4 max-slots=8\n", "h").status()),
              HasSubstr("h:1:"));
  EXPECT_THAT(MessageOf(ParseHostfile("# none\n", "h").status()), HasSubstr("names no host"));
}

TEST(Hosts, SlurmsListsAreExpanded) {
  EXPECT_THAT(*ExpandNodeList("n1"), ElementsAre("n1"));
  EXPECT_THAT(*ExpandNodeList("n[1-3,07],m2"), ElementsAre("n1", "n2", "n3", "n07", "m2"));
  EXPECT_THAT(*ExpandNodeList("a[08-11]"), ElementsAre("a08", "a09", "a10", "a11"));
  EXPECT_THAT(*ExpandNodeList("r[1-2]n[5,7]"), ElementsAre("r1n5", "r1n7", "r2n5", "r2n7"));
  for (const char* bad : {"", "n[1", "n[3-1]", "n[a-b]", "n[1-99999999]", "n1,,n2", "n[]", "a b"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ExpandNodeList(bad).status())) << bad;
  }
  EXPECT_THAT(*ExpandCounts("2(x3),1"), ElementsAre(2, 2, 2, 1));
  EXPECT_THAT(*ExpandCounts("16"), ElementsAre(16));
  for (const char* bad : {"", "x", "2(x", "2(x3", "2(3)", "-1", "1(x99999999999)"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ExpandCounts(bad).status())) << bad;
  }
}

TEST(Hosts, RanksFillSlotsInOrder) {
  EXPECT_THAT(PlaceRanks({{"n1", 4}, {"n2", 4}}, 6),
              ElementsAre(HostRanks{"n1", 4}, HostRanks{"n2", 2}));
  EXPECT_THAT(PlaceRanks({{"n1", 4}, {"n2", 4}}, 3), ElementsAre(HostRanks{"n1", 3}));
}

TEST(Hosts, RanksBeyondTheSlotsAreShared) {
  EXPECT_THAT(PlaceRanks({{"n1"}, {"n2"}}, 5), ElementsAre(HostRanks{"n1", 3}, HostRanks{"n2", 2}));
  EXPECT_THAT(PlaceRanks({{"n1", 1}, {"n2"}, {"n3"}}, 4),
              ElementsAre(HostRanks{"n1", 1}, HostRanks{"n2", 2}, HostRanks{"n3", 1}));
  EXPECT_THAT(PlaceRanks({{"n1", 1}, {"n2", 1}}, 5),
              ElementsAre(HostRanks{"n1", 3}, HostRanks{"n2", 2}));
}

}  // namespace
}  // namespace halcyon::jobs
