// Run by mpirun. Arguments: how many bytes one MPI call may carry, and how many ranks to take for a
// node (0: as they lie).
#include "cluster/mpi_collectives.h"

#include <cstdio>
#include <cstdlib>

#include "tests/cluster/collectives_contract.h"

namespace halcyon::cluster {
namespace {

Collectives* gang = nullptr;

class MpiCollectivesTest : public ::testing::TestWithParam<CollectivesContract> {};

TEST_P(MpiCollectivesTest, FulfilsContract) { GetParam().run(*gang); }

INSTANTIATE_TEST_SUITE_P(Mpi, MpiCollectivesTest, ::testing::ValuesIn(kCollectivesContracts),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace halcyon::cluster

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
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
