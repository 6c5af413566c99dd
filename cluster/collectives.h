// What the ranks of a gang do together. Handles buffers and bytes, no tensors. Every rank starts
// the same collectives in the same order, from one thread; they run one after the other in that
// order, beside the thread that started them. After an error the gang can do nothing more together:
// every later collective gives the same error.
//
// Implementations: over MPI (mpi_collectives.h), over TCP without it (peer_collectives.h) and among
// threads of one process (in_process_gang.h), all through a CollectiveQueue; a gang of one
// (SingleRank). Those on host
// memory sum in rank order, so the same number of ranks gives the same bits.
#ifndef HALCYON_CLUSTER_COLLECTIVES_H_
#define HALCYON_CLUSTER_COLLECTIVES_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "cluster/buffer.h"

namespace halcyon::cluster {

// Which ranks take part. Nodes are numbered by their lowest rank; ranks of a node are in the order
// of their numbers in the gang.
enum class Group : uint8_t {
  kAll,
  kNode,         // the ranks of this rank's node
  kAcrossNodes,  // of each node the rank with this rank's place in it
};

// A collective that was started. Copies stand for the same one.
class Pending {
 public:
  // What an implementation keeps for it.
  class State {
   public:
    virtual ~State() = default;
    virtual absl::Status Wait() = 0;
  };

  Pending() = default;  // nothing: done
  explicit Pending(std::shared_ptr<State> state) : state_(std::move(state)) {}

  // Afterwards the result is there for what the calling thread does next (on a GPU: for what it
  // puts on its current stream), and the buffers may be used again. May be called again.
  absl::Status Wait() { return state_ == nullptr ? absl::OkStatus() : state_->Wait(); }

 private:
  std::shared_ptr<State> state_;
};

// What the collectives cost, since the figures were last taken.
struct CollectiveFigures {
  uint64_t collectives = 0;
  uint64_t bytes = 0;     // that this rank received from others
  int64_t busy_us = 0;    // at least one was under way, waiting for other ranks included
  int64_t waited_us = 0;  // the calling thread waited in Wait or in a blocking collective
  int64_t cpu_us = 0;     // processor time of the thread that runs them
};

// How far a rank is in the order of collectives, whose numbers 1, 2, ... are the same on all ranks.
struct CollectiveStanding {
  uint64_t started = 0;
  uint64_t under_way = 0;  // the number of the oldest that has not ended; 0: none
  std::string name = {};   // of that one: "all-gather of block.3"
  bool waits = false;      // the thread that starts them waits for one
  uint64_t changes = 0;    // how often that thread has started one, or ended a wait
  int64_t changed_ms = 0;  // when it last did, or one ended, on Clock::MonotonicMs
};

class Collectives {
 public:
  virtual ~Collectives() = default;
  virtual int rank_in(Group group) const = 0;
  // 0 for kAcrossNodes where nodes have different numbers of ranks: there is no such group then.
  virtual int size_of(Group group) const = 0;
  int rank() const { return rank_in(Group::kAll); }
  int size() const { return size_of(Group::kAll); }

  // out = the ranks' `in` in rank order. `what` names it in errors and in Current, e.g. "block.3".
  // REQUIRES: out.count == in.count * size_of(group); one type.
  virtual Pending AllGather(Group group, ConstBuffer in, Buffer out, std::string_view what) = 0;
  // out = this rank's part of the sum over ranks, made in float32 from values of in.type.
  // REQUIRES: in.count == out.count * size_of(group); out.type is kFloat32.
  virtual Pending ReduceScatterSum(Group group, ConstBuffer in, Buffer out,
                                   std::string_view what) = 0;

  // Blocking, over all ranks, on host memory, behind what was started before.
  // In place, exact order: rank 0 + rank 1 + ...
  virtual absl::Status AllReduceSum(std::span<double> values) = 0;
  // Every rank's bytes, at every rank, in rank order. Lengths may differ.
  virtual absl::StatusOr<std::vector<std::string>> AllGatherBytes(std::string_view bytes) = 0;
  virtual absl::Status Barrier() = 0;

  // Digest of kind, group, size and name of all collectives so far: equal on all ranks that keep
  // to the order.
  virtual uint64_t order_digest() const = 0;
  virtual CollectiveFigures TakeFigures() = 0;
  // The one under way and since when: "all-gather of block.3, number 17, for 12 s" (without the
  // time in its first second); "" when there is none. Any thread.
  virtual std::string Current() const = 0;
  // Any thread.
  virtual CollectiveStanding Standing() const = 0;
};

// A gang of one: copies.
class SingleRank final : public Collectives {
 public:
  int rank_in(Group) const override { return 0; }
  int size_of(Group) const override { return 1; }
  Pending AllGather(Group group, ConstBuffer in, Buffer out, std::string_view what) override;
  Pending ReduceScatterSum(Group group, ConstBuffer in, Buffer out, std::string_view what) override;
  absl::Status AllReduceSum(std::span<double> values) override;
  absl::StatusOr<std::vector<std::string>> AllGatherBytes(std::string_view bytes) override;
  absl::Status Barrier() override;
  uint64_t order_digest() const override { return 0; }
  CollectiveFigures TakeFigures() override { return {}; }
  std::string Current() const override { return ""; }
  CollectiveStanding Standing() const override { return {}; }
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_COLLECTIVES_H_
