#include "jobs/cluster_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/env.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::jobs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kWhole[] = R"([environment]
init = "/etc/profile.d/modules.sh"
modules = ["gcc/12.3", "openmpi/4.1+ucx"]
variables = { NCCL_SOCKET_IFNAME = "ib0", WITH_QUOTE = "it's $HOME" }

[hosts]
copy_caches_to = "/local/scratch"

[slurm]
commands = "/opt/slurm/bin"
partition = "gpu"
time = "1-00"
options = { mail-type = "FAIL", nice = "5" }
)";

std::string ClusterError(const std::string& toml) {
  const auto file = ParseClusterFile(toml, "cluster.toml");
  EXPECT_TRUE(absl::IsInvalidArgument(file.status())) << toml;
  return MessageOf(file.status());
}

TEST(ClusterFile, IsReadWhole) {
  const auto file = ParseClusterFile(kWhole, "cluster.toml");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->init, "/etc/profile.d/modules.sh");
  EXPECT_THAT(file->modules, ElementsAre("gcc/12.3", "openmpi/4.1+ucx"));
  EXPECT_EQ(file->variables.at("WITH_QUOTE"), "it's $HOME");
  EXPECT_EQ(file->copy_caches_to, "/local/scratch");
  EXPECT_EQ(file->commands, "/opt/slurm/bin");
  EXPECT_EQ(file->slurm.partition, "gpu");
  EXPECT_EQ(*ParseClusterFile("", "empty.toml"), ClusterFile());
}

TEST(ClusterFile, MistakesAreNamedWithTheirLines) {
  EXPECT_THAT(
      ClusterError("[environment]\nmodule = [\"a\"]"),
      HasSubstr("cluster.toml:2: environment.module: unknown key; did you mean \"modules\"?"));
  EXPECT_THAT(ClusterError("[environment]\nmodules = [\"gcc\",\n \"a; rm -rf /\"]"),
              HasSubstr("cluster.toml:3: environment.modules[1]: \"a; rm -rf /\" is not the name"));
  EXPECT_THAT(ClusterError("[environment]\nvariables = { \"A B\" = \"x\" }"),
              HasSubstr("\"A B\" is not the name of a variable"));
  EXPECT_THAT(ClusterError("[environment]\nvariables = { \"1A\" = \"x\" }"), HasSubstr("\"1A\""));
  EXPECT_THAT(ClusterError("[environment]\nvariables = { A = \"x\\ny\" }"),
              HasSubstr("control character"));
  EXPECT_THAT(ClusterError("[environment]\ninit = \"modules.sh\""), HasSubstr("absolute path"));
  EXPECT_THAT(ClusterError("[slurm]\ncommands = \"bin\""), HasSubstr("absolute path"));
  EXPECT_THAT(ClusterError("[hosts]\ncopy_caches_to = \"tmp\""), HasSubstr("absolute path"));
  EXPECT_THAT(ClusterError("[slurm]\npartition = \"a$b\""),
              HasSubstr("cluster.toml:2: slurm.partition"));
  EXPECT_THAT(ClusterError("[slurm]\noptions = { output = \"x\" }"),
              HasSubstr("is set by halcyon"));
  EXPECT_THAT(ClusterError("[slurm]\nnodes = 2"), HasSubstr("unknown key"));
}

TEST(ClusterFile, GivesDefaultsThatTheJobMayReplace) {
  const auto file = ParseClusterFile(kWhole, "cluster.toml");
  ASSERT_TRUE(file.ok()) << file.status();
  SlurmSpec job;
  job.partition = "debug";
  job.options = {{"nice", "100"}};
  const SlurmSpec both = WithClusterDefaults(job, file->slurm);
  EXPECT_EQ(both.partition, "debug");
  EXPECT_EQ(both.time, "1-00");
  EXPECT_EQ(both.options,
            (std::map<std::string, std::string>{{"mail-type", "FAIL"}, {"nice", "100"}}));
}

TEST(ClusterFile, IsLookedForInTheHomeUnlessTheEnvironmentNamesOne) {
  const testing::TempDir dir;
  Env& env = *Env::Posix();
  const std::string in_home = JoinPath(dir.path(), "cluster.toml"),
                    named = JoinPath(dir.path(), "b.toml");
  ASSERT_TRUE(WriteFileAtomically(env, in_home, "[slurm]\npartition = \"home\"\n").ok());
  ASSERT_TRUE(WriteFileAtomically(env, named, "[slurm]\npartition = \"named\"\n").ok());
  unsetenv("HALCYON_CLUSTER");
  EXPECT_EQ(LoadClusterFile(dir.path())->slurm.partition, "home");
  setenv("HALCYON_CLUSTER", named.c_str(), 1);
  EXPECT_EQ(LoadClusterFile(dir.path())->slurm.partition, "named");
  setenv("HALCYON_CLUSTER", "/nonexistent/cluster.toml", 1);
  EXPECT_TRUE(absl::IsInvalidArgument(LoadClusterFile(dir.path()).status()));
  unsetenv("HALCYON_CLUSTER");
  ASSERT_EQ(chmod(in_home.c_str(), 0666), 0);
  EXPECT_THAT(MessageOf(LoadClusterFile(dir.path()).status()), HasSubstr("everybody may write it"));
}

}  // namespace
}  // namespace halcyon::jobs
