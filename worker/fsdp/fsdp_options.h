// What a user may choose about the sharding of a network.
#ifndef HALCYON_WORKER_FSDP_FSDP_OPTIONS_H_
#define HALCYON_WORKER_FSDP_FSDP_OPTIONS_H_

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "cluster/work_progress.h"
#include "jobs/job_spec.h"

namespace halcyon::worker {

// How a network is sharded; none of it changes what is computed, but for the order of sums and,
// with `gather_type`, the precision.
struct FsdpOptions {
  jobs::Sharding sharding = jobs::Sharding::kFull;
  jobs::Accumulate accumulate = jobs::Accumulate::kReduced;
  // How many of the units that run as a function of one input (transformer blocks) compute their
  // forward pass again in backward, from the first on.
  int64_t recompute = 0;
  // Of the gathered parameters, and with them of their gradients: kFloat or kBFloat16. Shards are
  // float32.
  at::ScalarType gather_type = at::kFloat;
  c10::Device device = c10::kCPU;
  cluster::WorkProgress* progress = nullptr;  // is told which unit computes; null: nobody is
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_FSDP_FSDP_OPTIONS_H_
