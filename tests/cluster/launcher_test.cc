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

TEST(CheckMpirunVersion, TakesOpenMpi4Alone) {
  EXPECT_TRUE(CheckMpirunVersion("mpirun (Open MPI) 4.1.4\n\nReport bugs to ...", "/bin/m").ok());
  for (const char* other :
       {"mpirun (Open MPI) 5.0.3", "mpirun (Open MPI) 3.1.0",
        "HYDRA build details:", "Intel(R) MPI Library for Linux* OS, Version 2021.9",
        "mpiexec: unrecognized argument", ""}) {
    const absl::Status status = CheckMpirunVersion(other, "/opt/bin/mpirun");
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << other;
    EXPECT_THAT(MessageOf(status), HasSubstr("/opt/bin/mpirun"));
    EXPECT_THAT(MessageOf(status), HasSubstr(other));
    EXPECT_THAT(MessageOf(status), HasSubstr("install Open MPI 4"));
  }
}

}  // namespace
}  // namespace halcyon::cluster
