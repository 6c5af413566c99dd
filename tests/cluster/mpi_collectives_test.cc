// Run by mpirun. Arguments: how many bytes one MPI call may carry, and how many ranks to take for a
// node (0: as they lie). Or "stop" and a folder: the last rank stops itself (SIGSTOP), the others
// say what they see.
#include "cluster/mpi_collectives.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/cluster/collectives_contract.h"

namespace halcyon::cluster {
namespace {

Collectives* gang = nullptr;

class MpiCollectivesTest : public ::testing::TestWithParam<CollectivesContract> {};

TEST_P(MpiCollectivesTest, FulfilsContract) { GetParam().run(*gang); }

constexpr int64_t kStopTimeoutMs = 3000;

[[noreturn]] void WaitForAStoppedRank(const std::string& dir) {
  MpiOptions options;
  const auto arrivals = std::make_shared<ArrivalFiles>(*Env::Posix());
  options.queue = {.timeout_ms = kStopTimeoutMs, .arrivals = arrivals};
  auto made = MakeMpiCollectives(options);
  if (!made.ok() || !arrivals->Open(dir, 1, 1).ok() || !(*made)->Barrier().ok()) _exit(2);
  std::printf("pid %d\n", static_cast<int>(getpid()));
  std::fflush(stdout);
  if ((*made)->rank() == (*made)->size() - 1) raise(SIGSTOP);
  std::vector<float> in(1), out((*made)->size());
  std::printf("%s\n", MessageOf(Gather(**made, Group::kAll, in, out)).c_str());
  std::fflush(stdout);
  _exit(3);
}

INSTANTIATE_TEST_SUITE_P(Mpi, MpiCollectivesTest, ::testing::ValuesIn(kCollectivesContracts),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace halcyon::cluster

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc == 3 && std::string(argv[1]) == "stop") halcyon::cluster::WaitForAStoppedRank(argv[2]);
  halcyon::cluster::MpiOptions options;
  if (argc > 1) options.call_bytes_max = std::strtoul(argv[1], nullptr, 10);
  if (argc > 2) options.ranks_per_node = std::atoi(argv[2]);
  auto made = halcyon::cluster::MakeMpiCollectives(options);
  if (!made.ok()) {
    std::fprintf(stderr, "%s\n", halcyon::MessageOf(made.status()).c_str());
    return 1;
  }
  halcyon::cluster::gang = made->get();
  std::printf("rank %d of %d\n", (*made)->rank(), (*made)->size());
  return RUN_ALL_TESTS();
}
