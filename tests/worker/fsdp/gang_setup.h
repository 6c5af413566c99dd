// How a gang is set up in a test of sharded training.
#ifndef HALCYON_TESTS_WORKER_FSDP_GANG_SETUP_H_
#define HALCYON_TESTS_WORKER_FSDP_GANG_SETUP_H_

#include <string>
#include <vector>

#include "worker/fsdp/fsdp_options.h"

namespace halcyon::worker {

inline constexpr int kRanksPerNode = 2;

struct GangSetup {
  int ranks = 1;
  jobs::Sharding sharding = jobs::Sharding::kFull;
  jobs::Accumulate accumulate = jobs::Accumulate::kReduced;
  int64_t recompute = 0;
  bool in_parts = false;  // a step in several passes
  at::ScalarType gather_type = at::kFloat;

  FsdpOptions options() const {
    return {.sharding = sharding,
            .accumulate = accumulate,
            .recompute = recompute,
            .gather_type = gather_type};
  }
  // What gives the same bits in the simplest way. Sums within a node first, or over passes first,
  // have an order of their own.
  GangSetup Simplest() const {
    GangSetup simplest = *this;
    if (sharding != jobs::Sharding::kHybrid) simplest.sharding = jobs::Sharding::kFull;
    simplest.recompute = 0;
    return simplest;
  }
};

inline std::vector<GangSetup> AllSetups(at::ScalarType gather_type, int ranks_max) {
  using jobs::Accumulate, jobs::Sharding;
  std::vector<GangSetup> setups;
  for (int ranks = 1; ranks <= ranks_max; ++ranks) {
    for (const Sharding sharding :
         {Sharding::kFull, Sharding::kGradient, Sharding::kNone, Sharding::kHybrid}) {
      if (sharding == Sharding::kHybrid && ranks % kRanksPerNode != 0) continue;
      for (const Accumulate accumulate : {Accumulate::kReduced, Accumulate::kLocal}) {
        for (const int64_t recompute : {0, 2}) {
          for (const bool in_parts : {false, true}) {
            setups.push_back({ranks, sharding, accumulate, recompute, in_parts, gather_type});
          }
        }
      }
    }
  }
  return setups;
}

inline std::string NameOf(const GangSetup& setup) {
  static constexpr const char* kShardings[] = {"Full", "Gradient", "None", "Hybrid"};
  return std::string(kShardings[static_cast<int>(setup.sharding)]) + std::to_string(setup.ranks) +
         (setup.accumulate == jobs::Accumulate::kLocal ? "Local" : "Reduced") +
         (setup.recompute > 0 ? "Recomputed" : "Kept") + (setup.in_parts ? "InParts" : "AtOnce") +
         (setup.gather_type == at::kFloat ? "" : "BFloat16");
}

}  // namespace halcyon::worker

#endif  // HALCYON_TESTS_WORKER_FSDP_GANG_SETUP_H_
