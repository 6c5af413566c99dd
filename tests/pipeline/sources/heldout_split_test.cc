#include "pipeline/sources/heldout_split.h"

#include <gtest/gtest.h>

#include <string>

#include "base/digest.h"

namespace halcyon::pipeline {
namespace {

TEST(IsHeldout, DependsOnTheBytesAlone) {
  EXPECT_FALSE(IsHeldout("a document", 0.0));
  EXPECT_TRUE(IsHeldout("a document", 1.0));
  // The top 53 bits of XXH3 as a fraction of one; a document moves at its own fraction only.
  const double at = static_cast<double>(Xxh3("a document")) / 18446744073709551616.0;
  EXPECT_FALSE(IsHeldout("a document", at - 1e-9));
  EXPECT_TRUE(IsHeldout("a document", at + 1e-9));
}

// 20000 documents at 2 %: mean 400, five standard errors 99.
TEST(IsHeldout, TakesTheFractionAskedFor) {
  int count = 0;
  for (int i = 0; i < 20000; ++i) count += IsHeldout("document " + std::to_string(i), 0.02);
  EXPECT_NEAR(count, 400, 99);
}

TEST(HeldoutSplit, HoldsAllOfASourceThatIsHeldOut) {
  jobs::DataSpec data;
  data.sources = {"/t"};
  data.heldout_sources = {"/h"};
  data.heldout = 0;
  EXPECT_TRUE(HeldoutSplit(data, "/h").Holds("a document"));
  EXPECT_TRUE(HeldoutSplit(data, "/h").holds_all());
  EXPECT_FALSE(HeldoutSplit(data, "/t").Holds("a document"));
  EXPECT_FALSE(HeldoutSplit(data, "/t").holds_all());
}

}  // namespace
}  // namespace halcyon::pipeline
