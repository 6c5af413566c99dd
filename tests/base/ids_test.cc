#include "base/ids.h"

#include <gtest/gtest.h>

#include <map>
#include <type_traits>

namespace halcyon {
namespace {

static_assert(!std::is_convertible_v<uint64_t, Fence>, "an id is made on purpose");
static_assert(!std::is_convertible_v<Fence, uint64_t>);
static_assert(!std::is_constructible_v<Fence, Incarnation>, "ids do not mix");

TEST(StrongId, ComparesByValue) {
  EXPECT_EQ(Fence(3), Fence(3));
  EXPECT_LT(Fence(3), Fence(4));
  EXPECT_EQ(Fence().value(), 0u);
  EXPECT_EQ(JobId("a").value(), "a");
  EXPECT_EQ(JobId(), JobId(""));
}

TEST(WorkerId, ARestartedWorkerIsAnotherOne) {
  std::map<WorkerId, int> workers;
  workers[{.name = "agent-0", .incarnation = 1}] = 1;
  workers[{.name = "agent-0", .incarnation = 2}] = 2;
  workers[{.name = "agent-0", .incarnation = 2}] = 3;
  EXPECT_EQ(workers.size(), 2u);
  EXPECT_LT((WorkerId{.name = "agent-0", .incarnation = 9}),
            (WorkerId{.name = "agent-1", .incarnation = 1}));
}

}  // namespace
}  // namespace halcyon
