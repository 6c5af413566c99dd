#include "worker/torch_fault.h"

#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace halcyon::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(TorchFault, TheStackOfCallsIsNotPartOfIt) {
  try {
    TORCH_CHECK(false, "you tried to allocate 7 bytes");
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), HasSubstr("frame #0"));
    const std::string message = MessageOf(TorchFault("tokens/3", error));
    EXPECT_THAT(message, HasSubstr("tokens/3: you tried to allocate 7 bytes"));
    EXPECT_THAT(message, Not(HasSubstr("frame #")));
  }
}

TEST(TorchFault, OtherExceptionsAreTakenAsTheyAre) {
  EXPECT_EQ(MessageOf(TorchFault("x", std::runtime_error("no such file"))), "x: no such file");
}

}  // namespace
}  // namespace halcyon::worker
