// Whole jobs whose text, tokenizer or machine is not what it should be.
#include <gtest/gtest.h>

#include "tests/coordinator/coordinator_fixture.h"

namespace halcyon::coordinator {
namespace {

TEST_F(CoordinatorTest, WarningsOfTasksAreShownAndBounded) {
  cluster_.warnings = {"something odd"};
  ASSERT_TRUE(Run().ok());
  size_t shown = 0;
  for (size_t at = said_.find("warning: something odd"); at != std::string::npos;
       at = said_.find("warning: something odd", at + 1)) {
    ++shown;
  }
  // One of the tokenizer's task, five of the tokens' and of the latents', one of the evaluation's.
  EXPECT_EQ(shown, 1u + 5u + 5u + 1u) << said_;
  EXPECT_NE(said_.find("warning: and more of this kind"), std::string::npos);
}

}  // namespace
}  // namespace halcyon::coordinator
