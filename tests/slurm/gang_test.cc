// Gangs over two hosts, n1 and n2, of a cluster that tests/slurm/cluster.sh has started. The first
// argument says how: "srun" and "mpirun" within an allocation of Slurm's, "rsh" from another host.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/clock.h"
#include "base/env.h"
#include "cluster/launcher.h"
#include "cluster/program_output.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kPatienceMs = 120'000;
constexpr int64_t kLookMs = 200;
// Commands that only this test runs.
constexpr char kWaiting[] = "sleep 7654321", kTraining[] = MPI_PROGRAM " --gtest_repeat=-1";

std::string way;

class HostsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = dir_.Path("work");
    ASSERT_TRUE(Env::Posix()->RemoveTree(folder_).ok());
    ASSERT_TRUE(Env::Posix()->CreateDirs(folder_).ok());
    launch_.ranks = 3;
    launch_.placement.launcher =
        way == "srun" ? jobs::LauncherKind::kSrun : jobs::LauncherKind::kMpirun;
    if (way == "rsh") {
      launch_.placement.hosts = {"n1:2", "n2"};
      launch_.placement.rsh_agent = CLUSTER_SCRIPT " at";
    }
    const auto found = FindAllocation(launch_, Surroundings::OfThisProcess());
    ASSERT_TRUE(found.ok()) << found.status();
    allocation_ = *found;
    launcher_ = MakeGangLauncher(launch_.placement, allocation_);
    options_.log_path = folder_ + "/log";
    options_.scratch_dir = folder_ + "/scratch";
    options_.working_dir = folder_;
    options_.env = {{"HALCYON_TEST_VALUE", "a b=c"}};
    options_.placement = {{"n1", 2}, {"n2", 1}};
    options_.ranks = 3;
  }
  std::unique_ptr<Gang> Launch(std::vector<std::string> argv) {
    options_.argv = std::move(argv);
    options_.name = "gang-" + std::to_string(++launches_);
    auto gang = launcher_->Launch(options_);
    EXPECT_TRUE(gang.ok()) << gang.status();
    return *std::move(gang);
  }
  GangEnd Wait(Gang& gang) {
    EXPECT_TRUE(Clock::Real()->WaitFor([&] { return gang.Poll().has_value(); }, kPatienceMs))
        << Log();
    return gang.Poll().value_or(GangEnd{});
  }
  std::string Log() { return Env::Posix()->ReadFile(options_.log_path).value_or(""); }
  void WaitForInLog(const std::string& text) {
    EXPECT_TRUE(
        Clock::Real()->WaitFor([&] { return Log().find(text) != std::string::npos; }, kPatienceMs))
        << Log();
  }

  // Starts a gang that waits on both hosts.
  std::unique_ptr<Gang> LaunchWaiting() {
    auto gang = Launch({"sh", "-c", std::string("echo up on $(uname -n); exec ") + kWaiting});
    WaitForInLog("up on n1");
    WaitForInLog("up on n2");
    return gang;
  }
  // The output of a script that runs on the head host, which can act on the others.
  static std::string OnHead(const std::string& script) {
    if (way == "rsh") {
      return ProgramOutput({"sh", "-c", script}, {}, kPatienceMs).value_or("no answer");
    }
    const std::string folder = std::getenv("CLUSTER_DIR"), wanted = folder + "/wanted";
    EXPECT_TRUE(WriteFileAtomically(*Env::Posix(), wanted, script + "\n").ok());
    EXPECT_TRUE(Clock::Real()->WaitFor([&] { return !Env::Posix()->Exists(wanted); }, kPatienceMs));
    return Env::Posix()->ReadFile(folder + "/answer").value_or("no answer");
  }
  static void Change(const std::string& action) {
    EXPECT_EQ(OnHead(CLUSTER_SCRIPT " " + action), "");
  }

  // How many processes of a host have this command line.
  std::string Running(const std::string& host, const std::string& command) {
    const std::string count = dir_.Path("count");
    EXPECT_TRUE(WriteFileAtomically(*Env::Posix(), count,
                                    "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; "
                                    "done 2>/dev/null | grep -cx \"$* \"\n")
                    .ok());
    const std::string answer =
        OnHead(CLUSTER_SCRIPT " at " + host + " sh " + count + " " + command);
    return answer.substr(0, answer.find('\n'));
  }
  void ExpectNoneRuns(const std::string& command) {
    for (const char* host : {"n1", "n2"}) {
      EXPECT_TRUE(Clock::Real()->WaitFor([&] { return Running(host, command) == "0"; }, kPatienceMs,
                                         kLookMs))
          << host << ": " << Running(host, command);
    }
  }

  testing::TempDir dir_;  // its name is not one that a process of another cluster has, too
  std::string folder_;
  jobs::LaunchSpec launch_;
  Allocation allocation_;
  std::unique_ptr<GangLauncher> launcher_;
  GangOptions options_;
  static inline int launches_ = 0;  // steps of one allocation are told apart by their names
};

TEST_F(HostsTest, RanksAreWhereTheyArePlacedAndHaveTheirEnvironment) {
  const GangEnd end =
      Wait(*Launch({"sh", "-c",
                    "echo \"rank ${OMPI_COMM_WORLD_RANK:-$SLURM_PROCID} on $(uname -n) has "
                    "<$HALCYON_TEST_VALUE> in $PWD\""}));
  EXPECT_TRUE(end.ok()) << Log();
  for (const char* line : {"rank 0 on n1", "rank 1 on n1", "rank 2 on n2"}) {
    EXPECT_THAT(Log(), HasSubstr(std::string(line) + " has <a b=c> in " + folder_));
  }
}

TEST_F(HostsTest, RanksOfTwoHostsAreOneWorld) {
  options_.env[kRanksVariable] = "3";
  EXPECT_TRUE(Wait(*Launch({MPI_PROGRAM})).ok()) << Log();
  for (const char* rank : {"0", "1", "2"}) {
    EXPECT_THAT(Log(), HasSubstr(std::string("rank ") + rank + " of 3"));
  }
}

TEST_F(HostsTest, AWorldOfAnotherSizeIsRefusedWithTheReason) {
  options_.env[kRanksVariable] = "4";
  EXPECT_FALSE(Wait(*Launch({MPI_PROGRAM})).ok());
  EXPECT_THAT(Log(), HasSubstr("MPI has brought 3 of 4 ranks together"));
}

TEST_F(HostsTest, OneRanksFailureEndsAll) {
  const GangEnd end =
      Wait(*Launch({"sh", "-c",
                    std::string("if test ${OMPI_COMM_WORLD_RANK:-$SLURM_PROCID} = 2; then sleep 1; "
                                "exit 37; fi; exec ") +
                        kWaiting}));
  EXPECT_FALSE(end.ok());
  ExpectNoneRuns(kWaiting);
}

TEST_F(HostsTest, AKillEndsTheRanksOfBothHosts) {
  const auto gang = LaunchWaiting();
  EXPECT_EQ(Running("n1", kWaiting), "2");
  EXPECT_EQ(Running("n2", kWaiting), "1");
  gang->Kill();
  EXPECT_FALSE(Wait(*gang).ok());
  ExpectNoneRuns(kWaiting);
}

TEST_F(HostsTest, AnAdoptedGangIsKilledToo) {
  const auto gang = LaunchWaiting();
  const auto adopted = launcher_->Adopt(gang->record());
  ASSERT_TRUE(adopted.ok()) << adopted.status();
  (*adopted)->Kill();
  EXPECT_FALSE((Wait(**adopted)).exit.has_value());
  Wait(*gang);
  ExpectNoneRuns(kWaiting);
}

// mpirun's ranks notice it themselves, those of srun are ended by the next coordinator.
TEST_F(HostsTest, NothingOutlivesALauncherThatDied) {
  const auto gang = Launch({MPI_PROGRAM, "--gtest_repeat=-1"});
  WaitForInLog("rank 0 of 3");
  WaitForInLog("rank 2 of 3");
  EXPECT_EQ(Running("n1", kTraining), "2");
  kill(gang->launcher()->pid, SIGKILL);
  Wait(*gang);
  EXPECT_TRUE(absl::IsNotFound(launcher_->Adopt(gang->record()).status()));
  ExpectNoneRuns(kTraining);
}

// A host that is gone, and one that runs on where nobody hears it. What the second still does is
// fenced off; here the gang must end without it.
TEST_F(HostsTest, AKillEndsAGangWithAHostThatIsCutOff) {
  const auto gang = LaunchWaiting();
  Change("cut n2");
  gang->Kill();
  EXPECT_FALSE(Wait(*gang).ok());
  EXPECT_TRUE(
      Clock::Real()->WaitFor([&] { return Running("n1", kWaiting) == "0"; }, kPatienceMs, kLookMs));
  Change("join n2");
  ExpectNoneRuns(kWaiting);
}

TEST_F(HostsTest, HostsThatAgreeAreAccepted) {
  const absl::Status checked = launcher_->Check({options_.scratch_dir, folder_, MPI_PROGRAM});
  EXPECT_TRUE(checked.ok()) << checked;
}

// /dev/shm is each host's own.
TEST_F(HostsTest, AHostThatDoesNotSeeTheStateFolderIsNamed) {
  const std::string own = "/dev/shm/halcyon-home";
  ASSERT_TRUE(Env::Posix()->CreateDirs(own).ok());
  const absl::Status checked = launcher_->Check({options_.scratch_dir, own, MPI_PROGRAM});
  EXPECT_TRUE(absl::IsInvalidArgument(checked)) << checked;
  EXPECT_THAT(MessageOf(checked), HasSubstr("host n2 does not see this machine's " + own));
  EXPECT_TRUE(Env::Posix()->RemoveTree(own).ok());
}

TEST_F(HostsTest, AHostWithAnotherWorkerProgramIsNamed) {
  const std::string own = "/dev/shm/worker";
  std::ofstream(own) << "of this host\n";
  const absl::Status checked = launcher_->Check({options_.scratch_dir, folder_, own});
  EXPECT_TRUE(absl::IsInvalidArgument(checked)) << checked;
  EXPECT_THAT(MessageOf(checked), HasSubstr("host n2 has no " + own));
  EXPECT_TRUE(Env::Posix()->RemoveTree(own).ok());
}

TEST_F(HostsTest, TheCoordinatorIsReachedAtTheInterfaceThatLeadsToTheHosts) {
  const auto endpoint =
      CoordinatorEndpoint(launch_, allocation_, Surroundings::OfThisProcess().host_name, "/socket");
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_EQ(*endpoint, way == "rsh" ? "tcp://10.77.0.254:*" : "tcp://10.77.0.1:*");
}

TEST_F(HostsTest, OfSlurmOneWithoutPmixIsRefused) {
  const std::string path = std::getenv("PATH");
  std::ofstream(folder_ + "/srun") << "#!/bin/sh\necho 'MPI plugin types are...'; echo pmi2\n";
  ASSERT_EQ(chmod((folder_ + "/srun").c_str(), 0700), 0);
  setenv("PATH", (folder_ + ":" + path).c_str(), 1);
  launch_.placement.launcher = jobs::LauncherKind::kSrun;
  const auto refused = FindAllocation(launch_, Surroundings::OfThisProcess());
  launch_.placement.launcher = jobs::LauncherKind::kAuto;
  const auto chosen = FindAllocation(launch_, Surroundings::OfThisProcess());
  setenv("PATH", path.c_str(), 1);
  EXPECT_THAT(MessageOf(refused.status()), HasSubstr("this Slurm has no PMIx"));
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  EXPECT_FALSE(chosen->by_srun);
  EXPECT_NE(chosen->slurm_job, "");
}

TEST_F(HostsTest, OfSlurmListsOfNodesAreReadAsItReadsThem) {
  for (const char* list : {"n[1-2]", "n[1-3,07],m2", "r[1-2]n[5,7]", "a[08-11]"}) {
    const auto output = ProgramOutput({"scontrol", "show", "hostnames", list}, {}, kPatienceMs);
    ASSERT_TRUE(output.ok()) << output.status();
    std::string joined;
    const auto expanded = jobs::ExpandNodeList(list);
    ASSERT_TRUE(expanded.ok()) << expanded.status();
    for (const std::string& node : *expanded) joined += node + "\n";
    EXPECT_EQ(joined, *output);
  }
}

}  // namespace
}  // namespace halcyon::cluster

int main(int argc, char** argv) {
  ::testing::InitGoogleMock(&argc, argv);
  if (argc != 2) return 2;
  halcyon::cluster::way = argv[1];
  return RUN_ALL_TESTS();
}
