#include "worker/gpu_assignment.h"

#include <gmock/gmock.h>

namespace halcyon::worker {
namespace {

using testing::ElementsAre;

RankGpus See(const std::string& host, std::vector<std::string> ids) { return {host, ids, ""}; }

TEST(GpuAssignment, RanksOfAHostShareItsGpusOut) {
  const std::vector<std::string> two = {"a", "b"};
  // The same id on another host is another GPU.
  const auto assigned = AssignGpus({See("x", two), See("y", two), See("x", two), See("y", two)});
  ASSERT_TRUE(assigned.ok());
  EXPECT_THAT(*assigned, ElementsAre(0, 0, 1, 1));
}

TEST(GpuAssignment, ARankThatSeesOneKeepsIt) {
  const auto assigned = AssignGpus({See("x", {"a"}), See("x", {"b"}), See("x", {"c"})});
  ASSERT_TRUE(assigned.ok());
  EXPECT_THAT(*assigned, ElementsAre(0, 0, 0));
}

TEST(GpuAssignment, TooFewAreCounted) {
  const auto assigned = AssignGpus({See("x", {"a"}), See("y", {"a"}), See("x", {"a"})});
  EXPECT_TRUE(absl::IsUnavailable(assigned.status()));
  EXPECT_EQ(MessageOf(assigned.status()), "host x has 2 ranks and 1 GPU; each rank takes one");
}

TEST(GpuAssignment, ARankWithoutGpusIsNamed) {
  const auto assigned = AssignGpus({See("x", {"a"}), {"y", {}, "no driver"}});
  EXPECT_EQ(MessageOf(assigned.status()), "rank 1 on host y has no GPU: no driver");
}

TEST(GpuAssignment, WhereNobodyHasOneTheReasonIsEnough) {
  const auto assigned = AssignGpus({{"x", {}, "no driver"}, {"y", {}, "no driver"}});
  EXPECT_EQ(MessageOf(assigned.status()), "no driver");
}

TEST(GpuAssignment, ListsOfGpusTravelAsBytes) {
  const RankGpus sent{"host", {std::string("\x00\xFF\x80", 3), ""}, "why"};
  const auto received = RankGpus::Parse(sent.Serialise());
  ASSERT_TRUE(received.ok());
  EXPECT_EQ(received->host, sent.host);
  EXPECT_EQ(received->ids, sent.ids);
  EXPECT_EQ(received->missing, sent.missing);
  for (const std::string bytes : {"", "x", "\xA0"}) {
    EXPECT_FALSE(RankGpus::Parse(bytes).ok());
  }
}

}  // namespace
}  // namespace halcyon::worker
