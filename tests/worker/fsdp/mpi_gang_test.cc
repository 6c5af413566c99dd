// Run by mpirun with four ranks, of which two are taken for a node: training over MPI gives the
// bits of a gang of threads, which other tests hold against float64.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>

#include "cluster/mpi_collectives.h"
#include "tests/worker/fsdp/small_transformer.h"

namespace halcyon::worker {
namespace {

cluster::Collectives* gang = nullptr;
constexpr uint64_t kUpdates = 2;

std::vector<at::Tensor> ValuesOf(Fsdp& fsdp) {
  std::vector<at::Tensor> values;
  for (const UnitShard* shard : fsdp.shards()) values.push_back(shard->value.clone());
  return values;
}

class MpiGang : public testing::TestWithParam<GangSetup> {};

TEST_P(MpiGang, GivesTheBitsOfAGangOfThreads) {
  const GangSetup& setup = GetParam();
  std::map<int, std::vector<at::Tensor>> expected;  // by slice
  TrainSharded(setup, {}, kUpdates,
               [&](Fsdp& fsdp) { expected[fsdp.plan().slice()] = ValuesOf(fsdp); });
  const auto plan = PlanShards(setup.sharding, *gang);
  EXPECT_EQ(plan->replicas, setup.sharding == jobs::Sharding::kHybrid ? 2
                            : setup.sharding == jobs::Sharding::kNone ? 4
                                                                      : 1);
  SmallTransformer network({});
  Fsdp fsdp(network.units(), gang, *plan, setup.options());
  TrainRank(fsdp, network, setup, *gang, kUpdates);
  const auto found = ValuesOf(fsdp);
  const auto& wanted = expected[fsdp.plan().slice()];
  for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(found[i].equal(wanted[i])) << i;
}

std::vector<GangSetup> Setups() {
  using jobs::Accumulate, jobs::Sharding;
  std::vector<GangSetup> setups;
  for (const Sharding sharding :
       {Sharding::kFull, Sharding::kGradient, Sharding::kNone, Sharding::kHybrid}) {
    setups.push_back({4, sharding});
  }
  setups.push_back({4, Sharding::kHybrid, Accumulate::kLocal, /*recompute=*/2, /*in_parts=*/true,
                    at::kBFloat16});
  return setups;
}

INSTANTIATE_TEST_SUITE_P(FourRanks, MpiGang, testing::ValuesIn(Setups()),
                         [](const auto& info) { return NameOf(info.param); });

}  // namespace
}  // namespace halcyon::worker

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  halcyon::cluster::MpiOptions options;
  options.ranks_per_node = halcyon::worker::kRanksPerNode;
  auto made = halcyon::cluster::MakeMpiCollectives(options);
  if (!made.ok() || (*made)->size() != 4) {
    std::fprintf(stderr, "%s\n", halcyon::MessageOf(made.status()).c_str());
    return 1;
  }
  halcyon::worker::gang = made->get();
  return RUN_ALL_TESTS();
}
