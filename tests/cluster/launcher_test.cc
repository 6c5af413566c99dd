#include "cluster/launcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace halcyon::cluster {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(ReproducibleEnvironment, PinsThreadsAndCodePaths) {
  const auto environment = ReproducibleEnvironment(3);
  EXPECT_THAT(environment, Contains(Pair("OMP_NUM_THREADS", "3")));
  EXPECT_THAT(environment, Contains(Pair("MKL_NUM_THREADS", "3")));
  for (const char* name : {"MKL_CBWR", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA"}) {
    EXPECT_TRUE(environment.contains(name)) << name;
  }
}

class WorkerProgramTest : public ::testing::Test {
 protected:
  void TearDown() override { unsetenv("HALCYON_WORKER"); }
};

TEST_F(WorkerProgramTest, TakesTheOneThatIsNamed) {
  setenv("HALCYON_WORKER", "/bin/sh", 1);
  const auto program = WorkerProgram();
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(*program, "/bin/sh");
}

TEST_F(WorkerProgramTest, SaysWhatToDoWhenThereIsNone) {
  setenv("HALCYON_WORKER", "/no/such/worker", 1);
  const auto program = WorkerProgram();
  EXPECT_TRUE(absl::IsNotFound(program.status()));
  EXPECT_THAT(MessageOf(program.status()), HasSubstr("/no/such/worker"));
  EXPECT_THAT(MessageOf(program.status()), HasSubstr("build it"));
}

}  // namespace
}  // namespace halcyon::cluster
