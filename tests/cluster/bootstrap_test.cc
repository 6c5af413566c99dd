#include "cluster/bootstrap.h"

#include <gtest/gtest.h>

#include "cluster/in_process_gang.h"

namespace halcyon::cluster {
namespace {

TEST(Bootstrap, EveryRankReadsWhatAnyHasPutBeforeTheBarrier) {
  RunInProcessGang(3, [](Collectives& gang) {
    CollectivesBootstrap bootstrap(&gang);
    const std::string binary("a\0b\xff", 4);
    if (gang.rank() == 1) {
      EXPECT_TRUE(bootstrap.Put("id", binary).ok());
      EXPECT_TRUE(bootstrap.Put("", "").ok());
      EXPECT_TRUE(absl::IsNotFound(bootstrap.Get("id").status()));
    }
    EXPECT_TRUE(bootstrap.Barrier().ok());
    EXPECT_EQ(bootstrap.Get("id").value_or("none"), binary);
    EXPECT_EQ(bootstrap.Get("").value_or("none"), "");
    EXPECT_TRUE(absl::IsNotFound(bootstrap.Get("other").status()));
    // Values stay, and each barrier adds to them.
    EXPECT_TRUE(bootstrap.Put(std::to_string(gang.rank()), "place").ok());
    EXPECT_TRUE(bootstrap.Barrier().ok());
    for (const char* rank : {"0", "1", "2"}) {
      EXPECT_EQ(bootstrap.Get(rank).value_or("none"), "place");
    }
    EXPECT_EQ(bootstrap.Get("id").value_or("none"), binary);
  });
}

TEST(Bootstrap, ANamePutTwiceIsAnErrorOnAllRanks) {
  RunInProcessGang(2, [](Collectives& gang) {
    CollectivesBootstrap bootstrap(&gang);
    EXPECT_TRUE(bootstrap.Put("id", "x").ok());
    EXPECT_EQ(MessageOf(bootstrap.Barrier()), "\"id\" was put twice");
  });
}

TEST(Bootstrap, ARankThatEndedIsTheCollectivesError) {
  RunInProcessGang(2, [](Collectives& gang) {
    if (gang.rank() == 1) return;
    CollectivesBootstrap bootstrap(&gang);
    EXPECT_TRUE(absl::IsUnavailable(bootstrap.Barrier()));
  });
}

}  // namespace
}  // namespace halcyon::cluster
