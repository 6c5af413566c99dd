// Run by mpirun; the argument is how many bytes one MPI call may carry.
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
  const size_t call_bytes_max =
      argc > 1 ? std::strtoul(argv[1], nullptr, 10) : halcyon::cluster::kMpiCallBytesMax;
  auto made = halcyon::cluster::MakeMpiCollectives(call_bytes_max);
  if (!made.ok()) {
    std::fprintf(stderr, "%s\n", halcyon::MessageOf(made.status()).c_str());
    return 1;
  }
  halcyon::cluster::gang = made->get();
  std::printf("rank %d of %d\n", (*made)->rank(), (*made)->size());
  return RUN_ALL_TESTS();
}
