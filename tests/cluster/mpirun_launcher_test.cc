#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <regex>
#include <set>

#include "base/clock.h"
#include "base/env.h"
#include "cluster/launcher.h"

namespace halcyon::cluster {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kPatienceMs = 60'000;

class MpirunLauncherTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "mpirun_launcher_test_" + std::to_string(getpid());
    ASSERT_TRUE(Env::Posix()->RemoveTree(folder_).ok());
    ASSERT_TRUE(Env::Posix()->CreateDirs(folder_).ok());
    options_.log_path = folder_ + "/log";
    options_.scratch_dir = folder_ + "/scratch";
    options_.working_dir = folder_;
  }
  void TearDown() override { EXPECT_TRUE(Env::Posix()->RemoveTree(folder_).ok()); }

  std::unique_ptr<Gang> Launch(uint32_t ranks, std::vector<std::string> argv) {
    options_.ranks = ranks;
    options_.argv = std::move(argv);
    auto child = MakeMpirunLauncher()->Launch(options_);
    EXPECT_TRUE(child.ok()) << child.status();
    return *std::move(child);
  }

  static ExitStatus Wait(ChildProcess& child) {
    EXPECT_TRUE(Clock::Real()->WaitFor([&] { return child.Poll().has_value(); }, kPatienceMs));
    return child.Poll().value_or(ExitStatus{.code = -1});
  }
  static ExitStatus Wait(Gang& gang) {
    EXPECT_TRUE(Clock::Real()->WaitFor([&] { return gang.Poll().has_value(); }, kPatienceMs));
    return gang.Poll().value_or(GangEnd{}).exit.value_or(ExitStatus{.code = -1});
  }

  std::string Log() { return Env::Posix()->ReadFile(options_.log_path).value_or(""); }

  std::vector<std::string> Scratch() {
    return Env::Posix()->ListDir(options_.scratch_dir).value_or(std::vector<std::string>{"?"});
  }

  void WaitForInLog(const std::string& text) {
    EXPECT_TRUE(
        Clock::Real()->WaitFor([&] { return Log().find(text) != std::string::npos; }, kPatienceMs))
        << Log();
  }

  // All "pid N" in the log, once there are `count` of them.
  std::set<pid_t> PidsInLog(size_t count) {
    std::set<pid_t> pids;
    const std::regex pattern("pid ([0-9]+)\n");
    EXPECT_TRUE(Clock::Real()->WaitFor(
        [&] {
          const std::string log = Log();
          for (std::sregex_iterator it(log.begin(), log.end(), pattern), end; it != end; ++it) {
            pids.insert(std::stoi((*it)[1]));
          }
          return pids.size() == count;
        },
        kPatienceMs))
        << Log();
    return pids;
  }

  static void ExpectAllEnd(const std::set<pid_t>& pids) {
    for (const pid_t pid : pids) {
      EXPECT_TRUE(
          Clock::Real()->WaitFor([&] { return !IdentityOfProcess(pid).has_value(); }, kPatienceMs));
    }
  }

  std::string folder_;
  GangOptions options_;
};

const char kWaitingRank[] = "echo pid $$; exec sleep 1000";

TEST_F(MpirunLauncherTest, RunsMoreRanksThanCoresOverMpi) {
  auto gang = Launch(4, {MPI_PROGRAM});
  EXPECT_TRUE(Wait(*gang).ok()) << Log();
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_THAT(Log(), HasSubstr("rank " + std::to_string(rank) + " of 4"));
  }
  EXPECT_THAT(Scratch(), ::testing::IsEmpty());
}

TEST_F(MpirunLauncherTest, GivesRanksTheirEnvironmentAndAppendsTheirOutput) {
  options_.env = {{"HALCYON_TEST_VALUE", "a b=c"}};
  std::ofstream(options_.log_path) << "before\n";
  EXPECT_TRUE(Wait(*Launch(2, {"sh", "-c", "echo \"<$HALCYON_TEST_VALUE>\""})).ok());
  EXPECT_THAT(Log(), ::testing::StartsWith("before\n"));
  EXPECT_THAT(Log(), HasSubstr("[1,0]<stdout>:<a b=c>"));
  EXPECT_THAT(Log(), HasSubstr("[1,1]<stdout>:<a b=c>"));
}

TEST_F(MpirunLauncherTest, OneRanksFailureEndsAll) {
  auto gang = Launch(
      3, {"sh", "-c", "test $OMPI_COMM_WORLD_RANK = 1 && exit 37; " + std::string(kWaitingRank)});
  EXPECT_EQ(Wait(*gang).code, 37);
  ExpectAllEnd(PidsInLog(2));
}

// Its process lives, so nothing but the time tells.
TEST_F(MpirunLauncherTest, ARankThatStopsIsNamedAndAllEnd) {
  auto gang = Launch(3, {MPI_PROGRAM, "stop", folder_ + "/waits"});
  const auto pids = PidsInLog(3);
  EXPECT_EQ(Wait(*gang).code, 3) << Log();
  EXPECT_THAT(Log(),
              HasSubstr("all-gather of values, number 2 has not ended within 3 s: rank 2 has "
                        "not come to it"));
  ExpectAllEnd(pids);
}

TEST_F(MpirunLauncherTest, KillingTheGroupEndsTheRanks) {
  // Ranks are in groups of their own; MPI ends them.
  auto gang = Launch(2, {"sh", "-c", "echo pid $$; exec " MPI_PROGRAM " --gtest_repeat=-1"});
  const auto pids = PidsInLog(2);
  WaitForInLog("rank 0 of 2");
  WaitForInLog("rank 1 of 2");
  gang->Kill();
  EXPECT_EQ(Wait(*gang).signal, SIGKILL);
  ExpectAllEnd(pids);
}

TEST_F(MpirunLauncherTest, LaunchesAgainAfterAKillAndCleansUp) {
  auto gang = Launch(2, {MPI_PROGRAM, "--gtest_repeat=-1"});
  WaitForInLog("rank 1 of 2");
  gang.reset();
  EXPECT_THAT(Scratch(), ::testing::Not(::testing::IsEmpty()));  // what mpirun could not remove
  EXPECT_TRUE(Wait(*Launch(2, {MPI_PROGRAM})).ok()) << Log();
  EXPECT_THAT(Scratch(), ::testing::IsEmpty());
}

TEST_F(MpirunLauncherTest, WorksInAFolderWithALongName) {
  options_.scratch_dir = folder_ + "/" + std::string(200, 's');
  EXPECT_TRUE(Wait(*Launch(2, {MPI_PROGRAM})).ok()) << Log();
}

TEST_F(MpirunLauncherTest, NamesAProgramThatIsMissing) {
  EXPECT_FALSE(Wait(*Launch(2, {"/no/such/worker"})).ok());
  EXPECT_THAT(Log(), HasSubstr("/no/such/worker"));
}

// A job manager or a terminal may signal every process of a job at once; who runs the job decides.
TEST_F(MpirunLauncherTest, StopSignalsEndNeitherLauncherNorRanksThatStart) {
  // The ranks are as they are before their main(): they do nothing about signals themselves.
  const std::string go = folder_ + "/go";
  auto gang = Launch(
      2, {"sh", "-c", "echo pid $$; until test -e " + go + "; do sleep 0.05; done; echo gone on"});
  const auto pids = PidsInLog(2);
  for (const int signal : StopSignalNumbers()) {
    kill(-gang->launcher()->pid, signal);
    for (const pid_t pid : pids) kill(pid, signal);
  }
  std::ofstream(go) << "\n";
  EXPECT_TRUE(Wait(*gang).ok()) << Log();
  EXPECT_THAT(Log(), HasSubstr("gone on"));
}

// Under these, Open MPI would take its slots from the allocation, or refuse to run at all.
TEST_F(MpirunLauncherTest, IgnoresAnAllocationAndAnMpirunThatItRunsUnder) {
  const std::map<std::string, std::string> foreign = {
      {"SLURM_JOBID", "77"},
      {"SLURM_JOB_ID", "77"},
      {"SLURM_NODELIST", "node1"},
      {"SLURM_JOB_NODELIST", "node1"},
      {"SLURM_NNODES", "1"},
      {"SLURM_TASKS_PER_NODE", "1"},
      {"SLURM_JOB_CPUS_PER_NODE", "8"},
      {"SLURM_NTASKS", "1"},
      {"OMPI_MCA_ess", "pmi"},
      {"OMPI_MCA_btl", "tcp"},
      {"OMPI_COMM_WORLD_RANK", "0"},
      {"PMIX_NAMESPACE", "2245263361"},
      {"PMIX_RANK", "0"},
      {"PMIX_SERVER_URI2", "1.0;tcp4://127.0.0.1:1"},
      {"OMPI_UNIVERSE_SIZE", "1"},
      {"PMI_RANK", "0"}};
  for (const auto& [name, value] : foreign) setenv(name.c_str(), value.c_str(), 1);
  auto gang = Launch(2, {MPI_PROGRAM});
  for (const auto& [name, value] : foreign) unsetenv(name.c_str());
  EXPECT_TRUE(Wait(*gang).ok()) << Log();
  EXPECT_THAT(Log(), HasSubstr("rank 1 of 2"));
}

TEST_F(MpirunLauncherTest, RunsInTheFolderThatIsNamed) {
  EXPECT_TRUE(Wait(*Launch(1, {"pwd"})).ok());
  EXPECT_THAT(Log(), HasSubstr(folder_));
}

// The rank looks at the sockets of mpirun, its parent: local addresses of /proc/net/tcp and tcp6
// in state 0A (listening), by the inodes behind mpirun's descriptors.
TEST_F(MpirunLauncherTest, ListensOnTheLoopbackDeviceOnly) {
  const std::string script =
      "for f in /proc/$PPID/fd/*; do readlink $f; done | sed -n 's/^socket:.\\(.*\\)]/\\1/p' > " +
      folder_ +
      "/inodes; cat /proc/net/tcp /proc/net/tcp6 | awk 'NR==FNR {mine[$1]=1; next} "
      "$4==\"0A\" && ($10 in mine) {print \"listens \" $2}' " +
      folder_ + "/inodes -";
  EXPECT_TRUE(Wait(*Launch(1, {"sh", "-c", script})).ok());
  const std::string log = Log();
  const std::regex pattern("listens ([0-9A-F]+):");
  size_t sockets = 0;
  for (std::sregex_iterator it(log.begin(), log.end(), pattern), end; it != end; ++it, ++sockets) {
    EXPECT_THAT(std::string((*it)[1]),
                ::testing::AnyOf("0100007F", "00000000000000000000000001000000"));
  }
  EXPECT_GT(sockets, 0u) << log;
}

TEST_F(MpirunLauncherTest, WorksUnderTheLongestHostName) {
  auto probe = ChildProcess::Spawn({{"unshare", "-u", "true"}, {}, ""});
  if (!probe.ok() || !Wait(**probe).ok()) GTEST_SKIP() << "no right to make a UTS namespace";
  const std::string path = std::getenv("PATH");
  std::ofstream(folder_ + "/mpirun")
      << "#!/bin/sh\nexport PATH=" << path << "\nexec unshare -u sh -c 'hostname "
      << std::string(64, 'h') << "; exec mpirun \"$@\"' mpirun \"$@\"\n";
  ASSERT_EQ(chmod((folder_ + "/mpirun").c_str(), 0700), 0);
  setenv("PATH", (folder_ + ":" + path).c_str(), 1);
  auto gang = Launch(2, {MPI_PROGRAM});
  setenv("PATH", path.c_str(), 1);
  EXPECT_TRUE(Wait(*gang).ok()) << Log();
  EXPECT_THAT(Log(), HasSubstr("rank 1 of 2"));
}

TEST_F(MpirunLauncherTest, TheRanksKeepTheirUsersPreload) {
  EXPECT_TRUE(Wait(*Launch(1, {"sh", "-c", "echo \"preload <${LD_PRELOAD-none}>\""})).ok());
  EXPECT_THAT(Log(), HasSubstr("preload <none>"));
}

TEST_F(MpirunLauncherTest, ChecksWhichMpirunComesFirst) {
  EXPECT_TRUE(MakeMpirunLauncher()->Check({options_.scratch_dir, folder_, "/bin/sh"}).ok());
  const std::string path = std::getenv("PATH");
  const std::string fake = folder_ + "/mpirun";
  std::ofstream(fake) << "#!/bin/sh\necho 'HYDRA build details:' >&2\necho '    Version: 4.0.2'\n";
  ASSERT_EQ(chmod(fake.c_str(), 0700), 0);
  setenv("PATH", (folder_ + ":" + path).c_str(), 1);
  const absl::Status other =
      MakeMpirunLauncher()->Check({options_.scratch_dir, folder_, "/bin/sh"});
  setenv("PATH", "/no/such/folder", 1);
  const absl::Status none = MakeMpirunLauncher()->Check({options_.scratch_dir, folder_, "/bin/sh"});
  setenv("PATH", path.c_str(), 1);
  EXPECT_TRUE(absl::IsInvalidArgument(other)) << other;
  EXPECT_THAT(MessageOf(other), HasSubstr(fake));
  EXPECT_THAT(MessageOf(other), HasSubstr("HYDRA build details:"));
  EXPECT_TRUE(absl::IsNotFound(none)) << none;
  EXPECT_THAT(MessageOf(none), HasSubstr("openmpi-bin"));
}

TEST_F(MpirunLauncherTest, NeedsNoNetwork) {
  auto probe = ChildProcess::Spawn({{"unshare", "-n", "true"}, {}, ""});
  if (!probe.ok() || !Wait(**probe).ok()) GTEST_SKIP() << "no right to make a network namespace";
  // A "mpirun" found first in PATH enters a namespace that has the loopback device alone.
  const std::string path = std::getenv("PATH");
  const std::string wrapper = folder_ + "/mpirun";
  std::ofstream(wrapper)
      << "#!/bin/sh\nexport PATH=" << path
      << "\nexec unshare -n sh -c 'ip link set lo up; exec mpirun \"$@\"' mpirun "
         "\"$@\"\n";
  ASSERT_EQ(chmod(wrapper.c_str(), 0700), 0);
  setenv("PATH", (folder_ + ":" + path).c_str(), 1);
  auto gang = Launch(2, {MPI_PROGRAM});
  setenv("PATH", path.c_str(), 1);
  EXPECT_TRUE(Wait(*gang).ok()) << Log();
  EXPECT_THAT(Log(), HasSubstr("rank 1 of 2"));
}

// mpirun then starts nothing on the other host either.
TEST_F(MpirunLauncherTest, OfTwoHostsTheOneThatCannotBeReachedIsBlamed) {
  const std::string agent = folder_ + "/agent";
  std::ofstream(agent) << "#!/bin/sh\ntest \"$*\" = \"near true\"\n";
  ASSERT_EQ(chmod(agent.c_str(), 0700), 0);
  jobs::PlacementSpec placement;
  placement.rsh_agent = agent;
  Allocation allocation;
  allocation.hosts = {{"near", 1}, {"far", 1}};
  const absl::Status status = MakeMpirunLauncher(placement, allocation)
                                  ->Check({.scratch_dir = options_.scratch_dir,
                                           .working_dir = folder_,
                                           .worker_program = "/bin/true"});
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("host far could not be reached"));
  EXPECT_THAT(MessageOf(status), Not(HasSubstr("host near")));
}

// Nothing comes from that host, and nothing says that it is not there.
TEST_F(MpirunLauncherTest, AStopDoesNotWaitForAHostThatDoesNotAnswer) {
  const std::string agent = folder_ + "/agent";
  std::ofstream(agent) << "#!/bin/sh\ntouch " << folder_ << "/asked\nexec sleep 80\n";
  ASSERT_EQ(chmod(agent.c_str(), 0700), 0);
  const auto is_asked = [&] { return Env::Posix()->Exists(folder_ + "/asked"); };
  jobs::PlacementSpec placement;
  placement.rsh_agent = agent;
  Allocation allocation;
  allocation.hosts = {{"far", 1}};
  const auto launcher = MakeMpirunLauncher(placement, allocation);
  const int64_t began_ms = Clock::Real()->MonotonicMs();
  const absl::Status status = launcher->Check({.scratch_dir = options_.scratch_dir,
                                               .working_dir = folder_,
                                               .worker_program = "/bin/true",
                                               .is_stopped = is_asked});
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_TRUE(is_asked());
  EXPECT_LT(Clock::Real()->MonotonicMs() - began_ms, kPatienceMs);
}

}  // namespace
}  // namespace halcyon::cluster
