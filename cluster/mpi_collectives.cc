#include "cluster/mpi_collectives.h"

#include <mpi.h>
#include <sched.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "base/clock.h"
#include "base/env.h"
#include "cluster/collective_queue.h"
#include "cluster/exchange_group.h"
#include "cluster/launcher.h"

namespace halcyon::cluster {
namespace {

// Waiting for MPI: tests in between giving the processor away, then sleeping for longer and longer.
// MPI's own waiting would keep a processor busy that the ranks compute with.
constexpr int kYieldsMax = 50;
constexpr int64_t kSleepUsMin = 20, kSleepUsMax = 100;

absl::Status MpiStatus(int error, const char* what) {
  if (error == MPI_SUCCESS) return absl::OkStatus();
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(error, text, &length);
  return Unavailable(std::string(what) + ": " + std::string(text, length));
}

// A block of `bytes`, the next of which starts `stride_bytes` further on: a part of what is meant
// for, or comes from, each rank. Strides have 64 bits, unlike MPI's displacements.
class StridedBlock {
 public:
  StridedBlock(size_t bytes, size_t stride_bytes) {
    MPI_Datatype contiguous;
    MPI_Type_contiguous(static_cast<int>(bytes), MPI_BYTE, &contiguous);
    MPI_Type_create_resized(contiguous, 0, static_cast<MPI_Aint>(stride_bytes), &type_);
    MPI_Type_commit(&type_);
    MPI_Type_free(&contiguous);
  }
  ~StridedBlock() { MPI_Type_free(&type_); }
  StridedBlock(const StridedBlock&) = delete;
  StridedBlock& operator=(const StridedBlock&) = delete;
  MPI_Datatype type() const { return type_; }

 private:
  MPI_Datatype type_ = MPI_DATATYPE_NULL;
};

// Ends MPI when the last group is gone.
struct MpiSession {
  ~MpiSession() { MPI_Finalize(); }
};

// Takes the communicator over.
class MpiGroup : public ExchangeGroup {
 public:
  MpiGroup(MPI_Comm comm, size_t call_bytes_max, std::shared_ptr<MpiSession> session)
      : ExchangeGroup(call_bytes_max), session_(std::move(session)), comm_(comm) {
    // Errors come back as statuses; MPI would otherwise end the process.
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
  }
  ~MpiGroup() override { MPI_Comm_free(&comm_); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  absl::Status Barrier() override {
    MPI_Request request;
    RETURN_IF_ERROR(MpiStatus(MPI_Ibarrier(comm_, &request), "MPI_Ibarrier"));
    return Complete(request, "MPI_Ibarrier");
  }

 protected:
  absl::Status GatherCall(const char* in, size_t size, char* out, size_t stride) override {
    const StridedBlock block(size, stride);
    MPI_Request request;
    RETURN_IF_ERROR(MpiStatus(
        MPI_Iallgather(in, static_cast<int>(size), MPI_BYTE, out, 1, block.type(), comm_, &request),
        "MPI_Iallgather"));
    return Complete(request, "MPI_Iallgather");
  }

  absl::Status ScatterCall(const char* in, size_t stride, size_t size, char* out) override {
    const StridedBlock block(size, stride);
    MPI_Request request;
    RETURN_IF_ERROR(MpiStatus(
        MPI_Ialltoall(in, 1, block.type(), out, static_cast<int>(size), MPI_BYTE, comm_, &request),
        "MPI_Ialltoall"));
    return Complete(request, "MPI_Ialltoall");
  }

 private:
  absl::Status Complete(MPI_Request request, const char* what) const {
    int64_t sleep_us = kSleepUsMin;
    for (int tests = 0;; ++tests) {
      int done = 0;
      RETURN_IF_ERROR(MpiStatus(MPI_Test(&request, &done, MPI_STATUS_IGNORE), what));
      if (done) return absl::OkStatus();
      if (tests < kYieldsMax) {
        sched_yield();
        continue;
      }
      RETURN_IF_ERROR(CheckWait());
      Clock::Real()->SleepUs(sleep_us);
      sleep_us = std::min(2 * sleep_us, kSleepUsMax);
    }
  }

  const std::shared_ptr<MpiSession> session_;  // outlives comm_
  MPI_Comm comm_;
  int rank_ = 0, size_ = 1;
};

// The node's number: the lowest rank in it.
int NodeOf(MPI_Comm all, int rank, int ranks_per_node) {
  if (ranks_per_node > 0) return rank / ranks_per_node * ranks_per_node;
  MPI_Comm node;
  int lowest = rank;
  MPI_Comm_split_type(all, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node);
  MPI_Allreduce(MPI_IN_PLACE, &lowest, 1, MPI_INT, MPI_MIN, node);
  MPI_Comm_free(&node);
  return lowest;
}

// Whether ranks may copy straight from each other's memory, which moves gathered parameters four
// times as fast as through a shared segment. A container's system call filter may forbid it (the
// call then fails on the own process, too), and so may Yama. Open MPI does not look: its transfers
// fail. So where there is doubt they go through the segment.
bool MayReadOtherProcesses() {
  char from = 1, to = 0;
  const iovec local = {&to, 1}, remote = {&from, 1};
  if (process_vm_readv(getpid(), &local, 1, &remote, 1, /*flags=*/0) != 1) return false;
  const auto yama = Env::Posix()->ReadFile("/proc/sys/kernel/yama/ptrace_scope");
  return absl::IsNotFound(yama.status()) || (yama.ok() && yama->starts_with('0'));
}

absl::Status CheckWorldSize(int size) {
  const char* wanted = std::getenv(kRanksVariable);
  if (wanted == nullptr || *wanted == 0 || std::atoi(wanted) == size) return absl::OkStatus();
  return FailedPrecondition(
      "MPI has brought " + std::to_string(size) + " of " + wanted +
      " ranks together: what started them and the MPI library do not understand each other (under "
      "Slurm: srun needs --mpi=pmix of the PMIx version that Open MPI has)");
}

absl::StatusOr<HostGroups> MakeGroups(const MpiOptions& options) {
  int provided = 0;
  // Ranks of a host agree on it, since they ask the same kernel.
  setenv("OMPI_MCA_btl_vader_single_copy_mechanism", MayReadOtherProcesses() ? "cma" : "none",
         /*overwrite=*/0);
  RETURN_IF_ERROR(
      MpiStatus(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init"));
  const auto session = std::make_shared<MpiSession>();
  if (provided < MPI_THREAD_FUNNELED) {
    return Internal("this MPI allows no threads beside the one that calls it");
  }
  int rank = 0, size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  RETURN_IF_ERROR(CheckWorldSize(size));
  MPI_Comm all, node;
  MPI_Comm_dup(MPI_COMM_WORLD, &all);
  MPI_Comm_split(all, NodeOf(all, rank, options.ranks_per_node), rank, &node);
  HostGroups groups;
  groups.all = std::make_unique<MpiGroup>(all, options.call_bytes_max, session);
  groups.node = std::make_unique<MpiGroup>(node, options.call_bytes_max, session);
  // Largest and smallest node: of -size the minimum is minus the maximum.
  int sizes[2] = {groups.node->size(), -groups.node->size()};
  MPI_Allreduce(MPI_IN_PLACE, sizes, 2, MPI_INT, MPI_MIN, all);
  if (sizes[0] == -sizes[1]) {
    MPI_Comm across;
    MPI_Comm_split(all, groups.node->rank(), rank, &across);
    groups.across_nodes = std::make_unique<MpiGroup>(across, options.call_bytes_max, session);
  }
  return groups;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Collectives>> MakeMpiCollectives(const MpiOptions& options) {
  HALCYON_CHECK(options.call_bytes_max >= sizeof(double) && options.ranks_per_node >= 0);
  return CollectiveQueue::Start([options] { return MakeGroups(options); }, options.queue);
}

}  // namespace halcyon::cluster
