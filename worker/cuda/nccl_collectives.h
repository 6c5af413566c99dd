// Collectives on CUDA buffers over NCCL.
//
// They run one after the other on a stream of their own, beside the stream that computes. A
// collective waits, on that stream, for what the starting thread's current stream held when it was
// started; Pending::Wait makes the then current stream wait for the collective: the host waits for
// neither. Memory of buffers may be given back to the caching allocator after Wait, since whoever
// gets it next works behind the stream that waited.
//
// Faults appear late: Wait reports those known so far, the next blocking collective, which waits on
// the host for all that was started, every one. A thread looks for faults of NCCL and for a
// collective that does not end, and then aborts the communicators, which ends kernels that wait for
// a rank that is gone. After that the gang can do nothing more together.
//
// Blocking collectives run on the host collectives that this one is made over. kNode and
// kAcrossNodes are communicators of their own where they are not all ranks. Sums of bfloat16 are
// made in float32; their order is NCCL's: the same number of ranks in the same places gives the
// same bits, but not those of rank order.
#ifndef HALCYON_WORKER_CUDA_NCCL_COLLECTIVES_H_
#define HALCYON_WORKER_CUDA_NCCL_COLLECTIVES_H_

#include <memory>

#include "base/status.h"
#include "cluster/collectives.h"
#include "worker/cuda/gpu_plugin.h"

namespace halcyon::worker {

// Makes options.device the calling thread's current one. Used from one thread at a time; autograd's
// thread of the device may take its turn.
absl::StatusOr<std::unique_ptr<cluster::Collectives>> MakeNcclCollectives(
    cluster::Collectives* host, const GpuCollectivesOptions& options);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_CUDA_NCCL_COLLECTIVES_H_
