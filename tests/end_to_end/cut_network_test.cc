// Four ranks on two network namespaces, which are two nodes to MPI, sharded within and replicated
// across them. While they train the link between the nodes is taken away: the collective that
// cannot end is given up and named, and the job goes on from its last checkpoint.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "base/clock.h"
#include "base/env.h"
#include "storage/checkpoint.h"
#include "tests/end_to_end/small_job.h"

namespace halcyon {
namespace {

constexpr int64_t kPatienceMs = 120'000;

// In the place of mpirun: the ranks' hosts are the namespaces. Mends the link first.
constexpr char kMpirun[] = R"(#!/usr/bin/env bash
real=$(PATH=${PATH#*:} command -v mpirun)
[[ $1 == --version ]] && exec "$real" "$@"
ip netns exec NS2 ip link set eth0 up
unset LD_PRELOAD  # keeps to the loopback device
options=()
while [[ $1 == -* ]]; do
  case "$1 $2" in
    "--host "*) shift 2 ;;
    "--mca plm" | "--mca btl" | "--mca oob_tcp_if_include") shift 3 ;;
    "--mca "*) options+=("$1" "$2" "$3"); shift 3 ;;
    "--tag-output "*) options+=("$1"); shift ;;
    *) options+=("$1" "$2"); shift 2 ;;
  esac
done
# Daemons that leave their session sometimes never come up, which costs a start's limit of two minutes.
exec "$real" --leave-session-attached --host 10.215.0.1:2,10.215.0.2:2 --mca plm rsh \
  --mca plm_rsh_agent "${0%/*}/agent" --mca plm_rsh_no_tree_spawn 1 --mca oob_tcp_if_include 10.215.0.0/24 --mca btl self,tcp \
  --mca btl_tcp_if_include 10.214.0.0/24 "${options[@]}" "$@"
)";
// In the place of ssh: AGENT HOST COMMAND...
constexpr char kAgent[] = R"(#!/usr/bin/env bash
host=$1
shift
exec ip netns exec "NS${host##*.}" sh -c "$*"
)";

int Shell(const std::string& command) { return std::system(command.c_str()); }

// Two bridges in this namespace, and a leg of each for each rank's namespace: eth0 carries what
// ranks send each other, eth1 what mpirun sends its daemons.
class Namespaces {
 public:
  Namespaces() : prefix_("hc" + std::to_string(getpid())) {
    std::string make =
        "set -e; ip link add NSa type bridge; ip link set NSa up; ip link add NSb type bridge; "
        "ip addr add 10.215.0.254/24 dev NSb; ip link set NSb up; ";
    for (const std::string i : {"1", "2"}) {
      make += "ip netns add NS" + i + "; ip netns exec NS" + i + " ip link set lo up; " +
              LegOf(i, "NSa", "eth0", "10.214.0.") + LegOf(i, "NSb", "eth1", "10.215.0.");
    }
    are_there_ = Shell(WithPrefix(make)) == 0;
  }
  ~Namespaces() {
    Shell(
        WithPrefix("{ for n in NS1 NS2; do ip netns pids $n | xargs -r kill -9; ip netns del $n; "
                   "done; ip link del NSa; ip link del NSb; } 2>/dev/null"));
  }
  static std::string LegOf(const std::string& i, const std::string& bridge, const std::string& name,
                           const std::string& network) {
    const std::string inside = "ip netns exec NS" + i + " ip ", outside = bridge + "v" + i;
    return "ip link add " + outside + " type veth peer name " + name + " netns NS" + i +
           "; ip link set " + outside + " master " + bridge + " up; " + inside + "addr add " +
           network + i + "/24 dev " + name + "; " + inside + "link set " + name + " up; ";
  }
  bool are_there() const { return are_there_; }
  void Cut() { EXPECT_EQ(Shell(WithPrefix("ip netns exec NS2 ip link set eth0 down")), 0); }
  bool HaveProcesses() {
    return Shell(WithPrefix("test -z \"$(ip netns pids NS1; ip netns pids NS2)\"")) != 0;
  }
  std::string WithPrefix(std::string text) const {
    for (size_t at = 0; (at = text.find("NS", at)) != std::string::npos;)
      text.replace(at, 2, prefix_);
    return text;
  }

 private:
  const std::string prefix_;
  bool are_there_ = false;
};

void WriteProgram(const std::string& path, const std::string& text) {
  ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), path, text).ok());
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
}

bool HasCheckpoint(const std::string& root, uint64_t step) {
  const std::string folder = "/" + storage::CheckpointName(step, {});
  std::error_code gone;  // files come and go
  for (std::filesystem::recursive_directory_iterator it(root, gone), last; it != last;
       it.increment(gone)) {
    if (gone) return false;
    const std::string path = it->path().string();
    if (path.ends_with("/COMMIT") && path.find(folder) != path.npos) return true;
  }
  return false;
}

// Whether a log of the state folder has the text.
bool Logged(const std::string& home, const std::string& text) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(home)) {
    if (entry.path().extension() != ".log") continue;
    const auto log = Env::Posix()->ReadFile(entry.path());
    if (log.ok() && log->find(text) != std::string::npos) return true;
  }
  return false;
}

void Configure(SmallJob& job) {
  job.values()["model.head"] = "\"softmax\"";
  for (const char* key : {"model.noise_size", "model.head_layers", "model.samples"}) {
    job.values().erase(key);
  }
  job.values()["launch.ranks"] = "4";
  job.values()["launch.sharding"] = "\"hybrid\"";
  job.values()["train.steps"] = "60";
  job.values()["eval.every"] = "0";
  job.values()["checkpoint.every"] = "10";
  job.Write();
}

std::set<std::string> SharedMemory() {
  const auto names = Env::Posix()->ListDir("/dev/shm");
  return names.ok() ? std::set<std::string>(names->begin(), names->end()) : std::set<std::string>();
}

TEST(CutNetworkTest, TheJobGoesOnFromItsLastCheckpoint) {
  Namespaces namespaces;
  if (!namespaces.are_there()) {
    GTEST_SKIP() << "this machine or user may make no network namespaces (ip netns add)";
  }
  const auto prepare = [&](SmallJob& job) -> std::map<std::string, std::string> {
    Configure(job);
    const std::string bin = job.root() + "/bin";
    EXPECT_TRUE(Env::Posix()->CreateDirs(bin).ok());
    WriteProgram(bin + "/mpirun", namespaces.WithPrefix(kMpirun));
    WriteProgram(bin + "/agent", namespaces.WithPrefix(kAgent));
    return {{"PATH", bin + ":" + std::getenv("PATH")}, {"HALCYON_COLLECTIVE_TIMEOUT_S", "6"}};
  };
  SmallJob whole("cut-whole");
  const RunResult uninterrupted = whole.Run(prepare(whole));
  ASSERT_TRUE(uninterrupted.status.ok()) << uninterrupted.output;
  EXPECT_TRUE(Logged(whole.home(), "rank 3 of 4, of 2 on its node"));
  SmallJob job("cut-parts");
  const auto env = prepare(job);
  const std::set<std::string> shared_before = SharedMemory();
  auto run = job.Start(env);
  ASSERT_TRUE(Clock::Real()->WaitFor(
      [&] { return HasCheckpoint(job.home(), 10) || run->Poll().has_value(); }, kPatienceMs));
  namespaces.Cut();
  ASSERT_TRUE(Clock::Real()->WaitFor([&] { return run->Poll().has_value(); }, kPatienceMs));
  const std::string output = *Env::Posix()->ReadFile(job.root() + "/output-0.txt");
  ASSERT_TRUE(run->Poll()->ok()) << output;
  EXPECT_NE(output.find("has not ended within 6 s: "), std::string::npos) << output;
  EXPECT_NE(output.find("goes on from step"), std::string::npos) << output;
  EXPECT_EQ(job.WeightsOf("model"), whole.WeightsOf("model"));
  EXPECT_TRUE(Clock::Real()->WaitFor([&] { return !namespaces.HaveProcesses(); }, kPatienceMs));
  EXPECT_EQ(SharedMemory(), shared_before);
}

}  // namespace
}  // namespace halcyon
