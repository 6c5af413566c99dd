#include "cluster/launcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace halcyon::cluster {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Pair;

class ReproducibleEnvironmentTest : public testing::TestWithParam<jobs::Arithmetic> {};

INSTANTIATE_TEST_SUITE_P(Both, ReproducibleEnvironmentTest,
                         testing::Values(jobs::Arithmetic::kNative, jobs::Arithmetic::kPortable));

TEST_P(ReproducibleEnvironmentTest, PinsThreadsAndCodePaths) {
  const auto environment = ReproducibleEnvironment(3, GetParam());
  EXPECT_THAT(environment, Contains(Pair("OMP_NUM_THREADS", "3")));
  EXPECT_THAT(environment, Contains(Pair("MKL_NUM_THREADS", "3")));
  EXPECT_THAT(environment, Contains(Pair("GLIBC_TUNABLES", HasSubstr("hugetlb=1"))));
  for (const char* name : {"MKL_CBWR", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA"}) {
    EXPECT_TRUE(environment.contains(name)) << name;
  }
}

TEST(ReproducibleEnvironment, PortableArithmeticIsNotWiderThanAvx2) {
  auto portable = ReproducibleEnvironment(1, jobs::Arithmetic::kPortable);
  EXPECT_EQ(portable["HALCYON_ARITHMETIC"], "portable");
  EXPECT_THAT(portable["ATEN_CPU_CAPABILITY"], AnyOf("avx2", "default"));
  EXPECT_THAT(portable["MKL_CBWR"], AnyOf("AVX2", "COMPATIBLE"));
  EXPECT_THAT(portable["ONEDNN_MAX_CPU_ISA"], AnyOf("AVX2", "SSE41"));
}

TEST(ReproducibleEnvironment, NativeArithmeticIsAsWideAsTheProcessor) {
  auto native = ReproducibleEnvironment(1, jobs::Arithmetic::kNative);
  EXPECT_EQ(native["HALCYON_ARITHMETIC"], "native");
  EXPECT_EQ(native["MKL_CBWR"], "AUTO");
  EXPECT_EQ(native["ONEDNN_MAX_CPU_ISA"], "DEFAULT");
#if defined(__x86_64__)
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  EXPECT_EQ(native["ATEN_CPU_CAPABILITY"] == "avx512", avx512);
#endif
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
