// What the ranks of a gang do together. Handles bytes and floats, no tensors. Every rank calls the
// same methods in the same order, from one thread. Sums are made in rank order on every rank, so
// the same number of ranks gives the same bits. After an error the gang can do nothing more
// together.
#ifndef HALCYON_CLUSTER_COLLECTIVES_H_
#define HALCYON_CLUSTER_COLLECTIVES_H_

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace halcyon::cluster {

class Collectives {
 public:
  virtual ~Collectives() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // out = the ranks' `in` in rank order. REQUIRES: out.size() == in.size() * size().
  virtual absl::Status AllGather(std::span<const float> in, std::span<float> out) = 0;
  // out = this rank's part of the sum over ranks. REQUIRES: in.size() == out.size() * size().
  virtual absl::Status ReduceScatterSum(std::span<const float> in, std::span<float> out) = 0;
  // In place, exact order: rank 0 + rank 1 + ...
  virtual absl::Status AllReduceSum(std::span<double> values) = 0;
  // Every rank's bytes, at every rank, in rank order. Lengths may differ.
  virtual absl::StatusOr<std::vector<std::string>> AllGatherBytes(std::string_view bytes) = 0;
  virtual absl::Status Barrier() = 0;
};

// A gang of one: copies.
class SingleRank final : public Collectives {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  absl::Status AllGather(std::span<const float> in, std::span<float> out) override;
  absl::Status ReduceScatterSum(std::span<const float> in, std::span<float> out) override;
  absl::Status AllReduceSum(std::span<double> values) override;
  absl::StatusOr<std::vector<std::string>> AllGatherBytes(std::string_view bytes) override;
  absl::Status Barrier() override;
};

// Runs `rank_main` on `ranks` threads of this process with collectives among them; for tests. When
// a rank returns or throws, the collectives that others wait in for it give kUnavailable. Ends when
// all ranks have; an exception of theirs is thrown again here.
void RunInProcessGang(int ranks, const std::function<void(Collectives&)>& rank_main);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_COLLECTIVES_H_
