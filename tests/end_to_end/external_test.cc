// Ranks that something else starts: a shell script in torchrun's place, which starts a member for
// each rank, and starts one that was killed again.
#include <gtest/gtest.h>
#include <signal.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/process_identity.h"
#include "cluster/external_files.h"
#include "tests/end_to_end/small_job.h"

namespace halcyon {
namespace {

// $1 halcyon, $2 state folder, $3 job file, $4 port. A member that a signal has ended is started
// again.
constexpr char kWorld[] = R"(
export WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$4
start() {
  export RANK=$1 LOCAL_RANK=$1
  while :; do
    "$2" --home "$3" member "$4"
    code=$?
    test $code -gt 128 || return $code
  done
}
start 0 "$1" "$2" "$3" &
first=$!
start 1 "$1" "$2" "$3" &
second=$!
wait $first || exit $?
wait $second
)";

class ExternalWorldTest : public ::testing::Test {
 protected:
  static void MakeExternal(SmallJob& job) {
    job.values()["launch.launcher"] = "\"external\"";
    job.Write();
  }
  static std::unique_ptr<cluster::ChildProcess> StartWorld(SmallJob& job, int port) {
    cluster::ProcessOptions options;
    options.argv = {"/bin/bash",
                    "-c",
                    kWorld,
                    "world",
                    std::string(HALCYON_BIN_DIR) + "/halcyon",
                    job.home(),
                    job.job_file(),
                    std::to_string(port)};
    options.output_path = job.root() + "/world.txt";
    auto world = cluster::ChildProcess::Spawn(options);
    EXPECT_TRUE(world.ok()) << world.status();
    return *std::move(world);
  }
  static std::string WorldOutput(SmallJob& job) {
    return Env::Posix()->ReadFile(job.root() + "/world.txt").value_or("");
  }
  static void ExpectEnd(SmallJob& job, cluster::ChildProcess& world) {
    std::optional<cluster::ExitStatus> end;
    EXPECT_TRUE(Clock::Real()->WaitFor([&] { return (end = world.Poll()).has_value(); }, 60'000));
    EXPECT_TRUE(end && end->ok()) << WorldOutput(job);
  }
};

TEST_F(ExternalWorldTest, TrainsTheWeightsThatMpirunDoes) {
  SmallJob with_mpirun("external-mpirun");
  const RunResult reference = with_mpirun.Run();
  ASSERT_TRUE(reference.status.ok()) << reference.output;

  SmallJob job("external");
  MakeExternal(job);
  const auto world = StartWorld(job, 29'611);
  const RunResult run = job.Run();
  ASSERT_TRUE(run.status.ok()) << run.output << WorldOutput(job);
  ExpectEnd(job, *world);
  for (const char* stage : {"autoencoder", "model"}) {
    EXPECT_EQ(job.WeightsOf(stage), with_mpirun.WeightsOf(stage)) << stage;
  }
}

TEST_F(ExternalWorldTest, AKilledMemberIsReportedAndTheJobGoesOnWithItsSuccessor) {
  SmallJob whole("external-whole");
  MakeExternal(whole);
  const auto whole_world = StartWorld(whole, 29'612);
  const RunResult uninterrupted = whole.Run();
  ASSERT_TRUE(uninterrupted.status.ok()) << uninterrupted.output;
  ExpectEnd(whole, *whole_world);

  SmallJob job("external-killed");
  MakeExternal(job);
  // Rank 0 stops before step 9 of the model, until it is killed with its launch.
  const std::map<std::string, std::string> env = {
      {"HALCYON_FAULT_POINT", "rank 0 model step 9@stop"},
      {"HALCYON_FAULT_MARKER", job.root() + "/fault"}};
  for (const auto& [name, value] : env) setenv(name.c_str(), value.c_str(), 1);
  const auto world = StartWorld(job, 29'613);
  for (const auto& [name, value] : env) unsetenv(name.c_str());
  const auto run = job.Start();
  ASSERT_TRUE(Clock::Real()->WaitFor([&] { return Env::Posix()->Exists(job.root() + "/fault-0"); },
                                     120'000))
      << WorldOutput(job);
  const std::string folder =
      cluster::ExternalFolder(job.home() + "/jobs/" + job.Status().at("job_id").get<std::string>());
  const auto member = cluster::ReadNote(*Env::Posix(), folder, 1);
  ASSERT_TRUE(member.ok()) << member.status();
  KillProcess(member->process.process);
  std::optional<cluster::ExitStatus> end;
  ASSERT_TRUE(Clock::Real()->WaitFor([&] { return (end = run->Poll()).has_value(); }, 120'000));
  EXPECT_TRUE(end->ok()) << WorldOutput(job);
  ExpectEnd(job, *world);
  EXPECT_NE(cluster::ReadNote(*Env::Posix(), folder, 1)->id, member->id);
  EXPECT_EQ(job.WeightsOf("model"), whole.WeightsOf("model"));
}

TEST_F(ExternalWorldTest, AWorldThatDoesNotFitIsRefusedByName) {
  SmallJob job("external-refused");
  const std::map<std::string, std::string> world = {{"RANK", "0"},
                                                    {"LOCAL_RANK", "0"},
                                                    {"WORLD_SIZE", "3"},
                                                    {"MASTER_ADDR", "localhost"},
                                                    {"MASTER_PORT", "29611"}};
  RunResult member = job.Halcyon({"member", job.job_file()}, world);
  EXPECT_EQ(member.status.code, 2);
  EXPECT_NE(member.output.find("launch.launcher is not \"external\""), std::string::npos)
      << member.output;
  MakeExternal(job);
  member = job.Halcyon({"member", job.job_file()}, world);
  EXPECT_EQ(member.status.code, 2);
  EXPECT_NE(member.output.find("WORLD_SIZE=3 in the environment, but launch.ranks is 2"),
            std::string::npos)
      << member.output;
  member = job.Halcyon({"member", job.job_file()});
  EXPECT_EQ(member.status.code, 2);
  EXPECT_NE(member.output.find("the environment variable WORLD_SIZE is not set"), std::string::npos)
      << member.output;
}

}  // namespace
}  // namespace halcyon
