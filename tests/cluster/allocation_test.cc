#include "cluster/allocation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>

#include "base/env.h"
#include "cluster/transport.h"

namespace halcyon::cluster {
namespace {

using jobs::Host;
using jobs::LauncherKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AllocationTest : public ::testing::Test {
 protected:
  // An sbatch of two nodes with four processors each.
  void InSlurm() {
    variables_ = {{"SLURM_JOB_ID", "77"},
                  {"SLURM_JOB_NODELIST", "n[1-2]"},
                  {"SLURM_TASKS_PER_NODE", "1(x2)"},
                  {"SLURM_JOB_CPUS_PER_NODE", "4(x2)"}};
  }
  absl::StatusOr<Allocation> Find() {
    return FindAllocation(
        launch_, {[this](const std::string& name) {
                    const auto found = variables_.find(name);
                    return found == variables_.end() ? std::nullopt : std::optional(found->second);
                  },
                  [this]() -> absl::StatusOr<std::string> { return mpi_list_; }, "n1.lab"});
  }
  std::string Refusal() {
    const auto found = Find();
    EXPECT_TRUE(absl::IsInvalidArgument(found.status())) << found.status();
    return MessageOf(found.status());
  }

  jobs::LaunchSpec launch_;
  std::map<std::string, std::string> variables_;
  std::string mpi_list_ = "MPI plugin types are...\n\tnone\n\tpmi2\n\tpmix\n";
};

TEST_F(AllocationTest, WithoutHostsOrSlurmItIsThisMachine) {
  EXPECT_THAT(Find()->hosts, IsEmpty());
  launch_.placement.hosts = {"n1:8"};  // its own name
  EXPECT_THAT(Find()->hosts, IsEmpty());
  launch_.placement.hosts = {"n2:8"};
  EXPECT_THAT(Find()->hosts, ElementsAre(Host{"n2", 8}));
}

TEST_F(AllocationTest, HostsOutsideOfSlurmAreReachedByMpirun) {
  launch_.placement.hosts = {"n1:4", "n2"};
  const Allocation found = *Find();
  EXPECT_THAT(found.hosts, ElementsAre(Host{"n1", 4}, Host{"n2", 0}));
  EXPECT_EQ(found.slurm_job, "");
  EXPECT_FALSE(found.by_srun);
  launch_.placement.launcher = LauncherKind::kSrun;
  EXPECT_THAT(Refusal(), HasSubstr("needs a Slurm allocation"));
}

TEST_F(AllocationTest, AHostfileIsRead) {
  const std::string path = ::testing::TempDir() + "hosts_" + std::to_string(getpid());
  ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), path, "n1 slots=2\nn2 slots=3\n").ok());
  launch_.placement.hostfile = path;
  EXPECT_THAT(Find()->hosts, ElementsAre(Host{"n1", 2}, Host{"n2", 3}));
  EXPECT_TRUE(Env::Posix()->RemoveTree(path).ok());
  EXPECT_THAT(MessageOf(Find().status()), HasSubstr(path));
}

TEST_F(AllocationTest, NodesOfAnAllocationAreStartedBySrunWherePmixIs) {
  InSlurm();
  const Allocation found = *Find();
  EXPECT_THAT(found.hosts, ElementsAre(Host{"n1", 1, 4}, Host{"n2", 1, 4}));
  EXPECT_EQ(found.slurm_job, "77");
  EXPECT_TRUE(found.by_srun);
  launch_.placement.launcher = LauncherKind::kMpirun;
  EXPECT_FALSE(Find()->by_srun);
}

TEST_F(AllocationTest, SlotsAreTasksOrElseProcessors) {
  InSlurm();
  launch_.ranks = 6;  // more than tasks
  EXPECT_THAT(Find()->hosts, ElementsAre(Host{"n1", 4, 4}, Host{"n2", 4, 4}));
  launch_.threads = 2;  // more than processors
  EXPECT_THAT(Find()->hosts, ElementsAre(Host{"n1", 0, 4}, Host{"n2", 0, 4}));
}

TEST_F(AllocationTest, WithoutPmixSrunIsRefusedAndAutoTakesMpirun) {
  InSlurm();
  mpi_list_ = "MPI plugin types are...\n\tnone\n\tpmi2\n";
  EXPECT_FALSE(Find()->by_srun);
  EXPECT_EQ(Find()->slurm_job, "77");
  launch_.placement.launcher = LauncherKind::kSrun;
  EXPECT_THAT(Refusal(), HasSubstr("this Slurm has no PMIx, without which every rank would be"));
  EXPECT_THAT(Refusal(), HasSubstr("pmi2"));
}

TEST_F(AllocationTest, AnAllocationOfOneNodeIsThisMachineUnlessSrunIsAskedFor) {
  InSlurm();
  variables_["SLURM_JOB_NODELIST"] = "n1";
  variables_["SLURM_TASKS_PER_NODE"] = "2";
  EXPECT_THAT(Find()->hosts, IsEmpty());
  launch_.placement.launcher = LauncherKind::kSrun;
  EXPECT_THAT(Find()->hosts, ElementsAre(Host{"n1", 2, 0}));
  EXPECT_TRUE(Find()->by_srun);
}

TEST_F(AllocationTest, HostsThatTheAllocationLacksAreNotStartedThroughIt) {
  InSlurm();
  launch_.placement.hosts = {"n2", "n3"};
  EXPECT_EQ(Find()->slurm_job, "");
  launch_.placement.hosts = {"n2"};
  EXPECT_EQ(Find()->slurm_job, "77");
}

TEST_F(AllocationTest, TheCoordinatorListensOnTheNetworkOnlyForOtherHosts) {
  EXPECT_EQ(*CoordinatorEndpoint(launch_, {}, "n1", "/home/socket"), "ipc:///home/socket");
  const Allocation here = {.hosts = {{"n1", 2}}, .slurm_job = "77"};
  EXPECT_EQ(*CoordinatorEndpoint(launch_, here, "n1", "/s"), "ipc:///s");
  Allocation two = {.hosts = {{"n1", 2}, {"127.0.0.2", 2}}, .slurm_job = ""};
  EXPECT_EQ(*CoordinatorEndpoint(launch_, two, "n1", "/s"), "tcp://127.0.0.1:*");
  two.hosts[1].name = "no-such-host.invalid";
  const auto unknown = CoordinatorEndpoint(launch_, two, "n1", "/s");
  EXPECT_TRUE(absl::IsUnavailable(unknown.status()));
  EXPECT_THAT(MessageOf(unknown.status()), HasSubstr("launch.coordinator_address"));
  for (const char* own : {"127.0.0.1", "[::1]", "localhost", "0.0.0.0", "[::]"}) {
    launch_.placement.coordinator_address = own;
    const auto refused = CoordinatorEndpoint(launch_, two, "n1", "/s");
    EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << own;
    EXPECT_THAT(MessageOf(refused.status()), HasSubstr("where host no-such-host.invalid finds"));
  }
  launch_.placement.coordinator_address = "10.1.2.3";
  EXPECT_EQ(*CoordinatorEndpoint(launch_, two, "n1", "/s"), "tcp://10.1.2.3:*");
  for (const char* address : {"fd00::1", "[fd00::1]"}) {
    launch_.placement.coordinator_address = address;
    EXPECT_EQ(*CoordinatorEndpoint(launch_, two, "n1", "/s"), "tcp://[fd00::1]:*");
  }
}

TEST_F(AllocationTest, TheCoordinatorsAddressMayBeAName) {
  launch_.placement.launcher = LauncherKind::kExternal;
  launch_.placement.coordinator_address = "localhost";
  const auto endpoint = CoordinatorEndpoint(launch_, {}, "n1", "/s");
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  ServerOptions options;
  options.endpoint = *endpoint;
  const auto bound = BindZmq(options);
  EXPECT_TRUE(bound.ok()) << *endpoint << ": " << bound.status();
  launch_.placement.coordinator_address = "no-such-host.invalid";
  const auto unknown = CoordinatorEndpoint(launch_, {}, "n1", "/s");
  EXPECT_TRUE(absl::IsUnavailable(unknown.status()));
  EXPECT_THAT(MessageOf(unknown.status()), HasSubstr("launch.coordinator_address"));
}

TEST_F(AllocationTest, WhereSomethingElseStartsTheRanksTheCoordinatorListensOnTheNetwork) {
  InSlurm();
  launch_.placement.launcher = LauncherKind::kExternal;
  EXPECT_TRUE(Find()->hosts.empty()) << "agents are processes of this machine";
  const auto endpoint = CoordinatorEndpoint(launch_, {}, "n1", "/s");
  ASSERT_TRUE(endpoint.ok());
  EXPECT_TRUE(endpoint->starts_with("tcp://") && endpoint->ends_with(":*")) << *endpoint;
  launch_.placement.coordinator_address = "10.1.2.3";
  EXPECT_EQ(*CoordinatorEndpoint(launch_, {}, "n1", "/s"), "tcp://10.1.2.3:*");
}

TEST(HostsWithout, LeavesOutTheMachinesThatProcessesHaveNamed) {
  const std::vector<jobs::Host> hosts = {{"n1", 4, 0}, {"n2", 2, 0}, {"n3.site", 2, 0}};
  EXPECT_EQ(HostsWithout(hosts, {}), hosts);
  EXPECT_EQ(HostsWithout(hosts, {"n2.cluster.site"}),
            (std::vector<jobs::Host>{hosts[0], hosts[2]}));
  EXPECT_EQ(HostsWithout(hosts, {"n1", "n3.site"}), (std::vector<jobs::Host>{hosts[1]}));
  EXPECT_TRUE(HostsWithout(hosts, {"n1", "n2", "n3.site"}).empty());
  const std::vector<jobs::Host> here = {{"localhost", 2, 0}, {"n2", 2, 0}};
  EXPECT_EQ(HostsWithout(here, {"n2"}), (std::vector<jobs::Host>{here[0]}));
}

}  // namespace
}  // namespace halcyon::cluster
